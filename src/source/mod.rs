//! Where changelog files come from: a folder, a text in the template, an object in S3.
