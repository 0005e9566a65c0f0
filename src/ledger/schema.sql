-- The ledger: who made what in this database, which requests came, and what they did.
-- Every statement may run again. Few tables, for a new session pays for each that it opens.

-- A role that may not make schemas uses one that was made for it.
DO $body$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'execute_sql') THEN
        CREATE SCHEMA IF NOT EXISTS execute_sql;
    END IF;
END $body$;
COMMENT ON SCHEMA execute_sql IS 'Ledger of execute-sql: which stack made what. Deletes rely on it; do not edit.';

-- One row per resource: a logical id in a stack.
CREATE TABLE IF NOT EXISTS execute_sql.resource (
    stack_id            text NOT NULL,
    logical_id          text NOT NULL,
    version             integer NOT NULL DEFAULT 1, -- of the rules by which this row was written
    current_physical_id text,                       -- null: never applied, or deleted
    physical_ids        text[] NOT NULL DEFAULT '{}', -- every one that it had
    last_event_at       timestamptz, -- of the newest request taken up, where its time is known
    applied_sha256      text,        -- of the properties last applied with success
    -- Left by a Delete for a Create or Update that may still run, or be delivered late.
    tombstone_by        text,        -- the Delete's request id
    tombstone_for       text[],      -- the requests that were known then
    tombstone_event_at  timestamptz,
    tombstone_at        timestamptz,
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stack_id, logical_id)
);

-- Every request, with the answer of those that succeeded: a repeated delivery gets it again.
CREATE TABLE IF NOT EXISTS execute_sql.request (
    stack_id          text NOT NULL,
    logical_id        text NOT NULL,
    request_id        text NOT NULL,
    request_type      text NOT NULL,
    properties_sha256 text NOT NULL,
    physical_id       text NOT NULL,
    status            text NOT NULL CHECK (status IN ('running', 'success', 'failed')),
    data              jsonb,
    reason            text,
    attempts          integer NOT NULL DEFAULT 1,
    event_at          timestamptz,
    started_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at       timestamptz,
    PRIMARY KEY (stack_id, logical_id, request_id)
);

-- What each resource has. Only what it created itself may ever be dropped for it.
CREATE TABLE IF NOT EXISTS execute_sql.object (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    stack_id    text NOT NULL,
    logical_id  text NOT NULL,
    physical_id text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('extension', 'schema')),
    name        text NOT NULL,
    oid         oid NOT NULL,
    origin      text NOT NULL CHECK (origin IN ('created', 'adopted')),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stack_id, logical_id, kind, name)
);

-- What the history table has no column for. One row per changeset that ran; one that runs outside
-- of a transaction has it from its first statement on, to go on from there if it is interrupted.
CREATE TABLE IF NOT EXISTS execute_sql.changeset (
    history         text NOT NULL, -- the history table, quoted and with its schema
    path            text NOT NULL,
    author          text NOT NULL,
    id              text NOT NULL,
    status          text NOT NULL CHECK (status IN ('running', 'applied')),
    sha256          text NOT NULL, -- of its text
    content         text,          -- its text; null if it is too long to keep or holds a password
    rollback        text,
    statements_done integer NOT NULL DEFAULT 0,
    done_sha256     text NOT NULL DEFAULT '', -- of those statements
    doubtful        boolean NOT NULL DEFAULT false, -- the next statement was sent, and it is not known if it ran
    stack_id        text NOT NULL,
    logical_id      text NOT NULL,
    request_id      text NOT NULL,
    duration_ms     bigint,
    ran_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (history, path, author, id)
);

-- Whether the resource ever had tenants; a resource without any need not look for them.
ALTER TABLE execute_sql.resource ADD COLUMN IF NOT EXISTS has_tenants boolean NOT NULL DEFAULT false;

-- What each resource has for its tenants. A name has one holder in a cluster's ledger.
CREATE TABLE IF NOT EXISTS execute_sql.tenant (
    stack_id    text NOT NULL,
    logical_id  text NOT NULL,
    physical_id text NOT NULL,
    tenant      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('database', 'schema', 'role', 'secret')),
    name        text NOT NULL, -- of a secret: its ARN
    oid         oid,           -- null: being made, or a secret
    mark        integer,       -- the connection limit by which a database that is being made is known
    origin      text NOT NULL CHECK (origin IN ('created', 'adopted')),
    policy      text NOT NULL CHECK (policy IN ('Retain', 'Disable', 'Drop')), -- OnRemove
    force       boolean NOT NULL,
    released    boolean NOT NULL DEFAULT false, -- its resource has let it go, and it stays
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, name)
);

-- One row per step.
CREATE TABLE IF NOT EXISTS execute_sql.audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    stack_id    text NOT NULL,
    logical_id  text NOT NULL,
    request_id  text NOT NULL,
    environment text,
    build_id    text,
    run_id      text,
    database    text NOT NULL DEFAULT current_database(),
    username    text NOT NULL DEFAULT session_user,
    action      text NOT NULL,
    status      text NOT NULL CHECK (status IN ('success', 'no_change', 'warning', 'error', 'dry_run')),
    duration_ms bigint NOT NULL,
    message     text
);

-- Whether a Delete has taken a resource away from a request. Where the times of both are known
-- they decide. Where not, a request is gone if the Delete knew it, or came after it was taken up.
CREATE OR REPLACE FUNCTION execute_sql.is_gone(
    r execute_sql.resource, p_request_id text, p_event_at timestamptz, p_since timestamptz
) RETURNS boolean LANGUAGE sql STABLE AS $body$
    SELECT r.tombstone_at IS NOT NULL AND r.tombstone_by <> p_request_id
       AND CASE WHEN r.tombstone_event_at IS NOT NULL AND p_event_at IS NOT NULL
                THEN p_event_at <= r.tombstone_event_at
                ELSE p_request_id = ANY (r.tombstone_for) OR r.tombstone_at >= p_since END
$body$;

-- Raises ES410 if the resource is gone for this request, and ES409 if a statement ended the
-- transaction that the request works in. Runs before each step and each commit.
CREATE OR REPLACE FUNCTION execute_sql.assert_wanted(
    p_stack_id text, p_logical_id text, p_request_id text, p_event_at timestamptz, p_since timestamptz
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
    IF EXISTS (
        SELECT FROM execute_sql.resource r
        WHERE r.stack_id = p_stack_id AND r.logical_id = p_logical_id
          AND execute_sql.is_gone(r, p_request_id, p_event_at, p_since)
    ) THEN
        RAISE EXCEPTION 'a Delete of this resource came meanwhile' USING ERRCODE = 'ES410';
    END IF;
    IF coalesce(current_setting('execute_sql.working', true), '') <> p_request_id THEN
        RAISE EXCEPTION 'a statement ended the transaction that it ran in, or reset all settings' USING ERRCODE = 'ES409';
    END IF;
END
$body$;

REVOKE ALL ON SCHEMA execute_sql FROM PUBLIC;
