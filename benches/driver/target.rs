//! What is measured: a command, its trust, and the files whose size counts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::options::Options;
use super::world::World;

pub struct Target {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub env: Vec<(&'static str, PathBuf)>,
    /// The product alone keeps a ledger, from which it can answer a repeated request.
    pub has_ledger: bool,
    /// The one file that is deployed, if it is one.
    pub binary: Option<PathBuf>,
}

pub const PRODUCT: &str = "bootstrap";
pub const FLOOR: &str = "floor";

/// All targets, in the order in which they take turns.
pub fn all(options: &Options, world: &World) -> Vec<Target> {
    // The binaries bring AWS's roots along; the file adds the test CA, as a user would his own.
    let few = vec![("SSL_CERT_FILE", world.ca.clone())];
    let binary = |name: &str, path: &Path, has_ledger| Target {
        name: name.to_owned(),
        program: path.to_owned(),
        arguments: Vec::new(),
        env: few.clone(),
        has_ledger,
        binary: Some(path.to_owned()),
    };
    let python = options.python.as_ref().map(|python| Target {
        name: "Python".to_owned(),
        program: python.clone(),
        arguments: vec![python_function().display().to_string()],
        env: vec![
            ("SSL_CERT_FILE", world.system_roots.clone()),
            ("AWS_CA_BUNDLE", world.system_roots.clone()),
            ("RDS_CA_BUNDLE", world.rds_roots.clone()),
            // No litter beside the sources; what pip installed is compiled already.
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ],
        has_ledger: false,
        binary: None,
    });
    let mut targets =
        vec![binary(PRODUCT, &options.bootstrap, true), binary(FLOOR, &options.floor, false)];
    targets.extend(options.also.iter().map(|(name, path)| binary(name, path, true)));
    targets.extend(python);
    for target in targets.iter_mut().filter(|_| !options.under.is_empty()) {
        let program = std::mem::replace(&mut target.program, (&options.under[0]).into());
        let mut arguments: Vec<String> = options.under[1..].to_vec();
        arguments.push(program.display().to_string());
        arguments.append(&mut target.arguments);
        target.arguments = arguments;
    }
    targets
}

fn python_function() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python/bootstrap.py")
}

impl Target {
    /// The process as Lambda would start it.
    pub fn command(&self, world: &World, api: &str) -> Command {
        let log = fs::File::create(self.log(world)).expect("make the log");
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.envs(LAMBDA).env("AWS_LAMBDA_RUNTIME_API", api);
        command.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &world.secrets);
        command.envs(self.env.iter().map(|(name, path)| (name, path)));
        command
    }

    pub fn log(&self, world: &World) -> PathBuf {
        world.folder.join(format!("{}.log", self.name))
    }

    /// Bytes of the binary, and of the zip file that is deployed.
    pub fn size(&self) -> Option<(u64, u64)> {
        let path = self.binary.as_ref()?;
        let zipped = Command::new("gzip").args(["-9", "-c"]).arg(path).output().expect("run gzip");
        Some((fs::metadata(path).ok()?.len(), zipped.stdout.len() as u64))
    }
}

/// What Lambda sets, as far as any of the targets looks.
const LAMBDA: [(&str, &str); 12] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "execute-sql"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/execute-sql"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/31/[$LATEST]0123456789abcdef0123456789abcdef"),
    ("AWS_REGION", "eu-west-1"),
    ("AWS_DEFAULT_REGION", "eu-west-1"),
    ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"),
    ("_HANDLER", "bootstrap"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
];
