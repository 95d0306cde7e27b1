//! Settings of who may do what.

use std::path::PathBuf;

use clap::Args;

/// Settings of users.
#[derive(Args, Clone, Debug, Default)]
pub struct AccessFlags {
    /// File with the users, in the form of Redis's aclfile; without it they are kept in the data folder, in a cluster by
    /// all nodes together.
    #[arg(long, env = "CARILLON_ACL_FILE")]
    pub acl_file: Option<PathBuf>,
    /// File whose first line is the default user's password, as long as no user 'default' is kept anywhere else.
    #[arg(long, env = "CARILLON_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
    /// Let clients of other machines in without a password.
    #[arg(long, env = "CARILLON_ALLOW_ANONYMOUS", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub allow_anonymous: bool,
}
