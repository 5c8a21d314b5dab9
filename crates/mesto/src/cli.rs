//! The command line: what people type, and where each command is done.

mod app;
mod arguments;
mod bench_signatures;
mod bench_store;
mod blob;
mod build;
mod bundle;
mod call;
mod config;
mod context;
mod doctor;
mod events;
mod failure;
mod generate;
mod group;
mod invite;
mod join;
mod key;
mod logging;
mod login;
mod logins;
mod member;
mod node;
mod open;
mod output;
mod progress;
mod run;
mod secret;
mod session;
mod token;
mod trace;
mod user;
mod wait;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use mesto_api::{ErrorCode, Problem};

use failure::Failure;
use output::Output;
use session::Session;

/// Shared apps on your own machines: one program is the node and the tool to talk to it.
#[derive(Parser, Debug)]
#[command(name = "mesto", version, propagate_version = true, max_term_width = 110, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Global {
    /// The node's folder [default: ~/.mesto]
    #[arg(long, global = true, env = "MESTO_HOME", value_name = "DIR")]
    home: Option<PathBuf>,
    /// The node's API, like http://127.0.0.1:2480 [default: the node that runs on the home]
    #[arg(long, global = true, env = "MESTO_API", value_name = "URL")]
    api: Option<String>,
    /// The API's token [default: the one in the home]
    #[arg(long, global = true, env = "MESTO_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Print JSON: one object, an array for lists, an object a line for streams
    #[arg(long, global = true)]
    json: bool,
    /// Print no notes
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Make a home for a node: its keys, its token, its configuration
    Init(node::Init),
    /// Run the node of the home until it is told to stop
    Run(run::Run),
    /// How the node is
    Status,
    /// The connected peers
    Peers,
    /// Connect to a peer
    Connect(node::Connect),
    /// Look for what keeps the node from working
    Doctor,
    /// Show or change the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Keys that sign bundles
    #[command(subcommand)]
    Key(key::Key),
    /// Sign, pack and look into bundles
    #[command(subcommand)]
    Bundle(bundle::Bundle),
    /// Build and install apps
    #[command(subcommand)]
    App(app::App),
    /// Groups of people that share contexts
    #[command(subcommand)]
    Group(group::Group),
    /// Members of a group
    #[command(subcommand)]
    Member(member::Member),
    /// Who this node is, in a group
    Whoami(group::Whoami),
    /// Make a ticket with which others can join a group; list and close invitations
    Invite(invite::Invite),
    /// Join a group by a ticket
    Join(join::Join),
    /// Running instances of apps
    #[command(subcommand)]
    Context(context::Context),
    /// Call a method of a context's app
    Call(call::Call),
    /// What happened in contexts
    Events(events::Events),
    /// A flow that happened, as a sequence diagram
    Trace(trace::Trace),
    /// Compare a context with other members' nodes, or see how it stands
    Sync(context::Sync),
    /// Store and fetch content-addressed bytes
    #[command(subcommand)]
    Blob(blob::Blob),
    /// Make a typed client of an app
    #[command(name = "gen")]
    Generate(generate::Generate),
    /// Open the pages of a context's app in a browser
    Open(open::Open),
    /// Log in to a node, by password or key
    Login(login::Login),
    /// End the login to a node
    Logout,
    /// Tokens of this node: for programs, and of logins
    #[command(subcommand)]
    Token(token::Token),
    /// Who may log in to this node
    #[command(subcommand)]
    User(user::User),
    /// Measure what the disk gives without a node
    #[command(hide = true)]
    BenchStore(bench_store::BenchStore),
    /// Measure what a core signs and verifies
    #[command(hide = true)]
    BenchSignatures(bench_signatures::BenchSignatures),
    /// Print a script that completes commands in your shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Does what the command line says and gives the exit status.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let json = args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json");
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error, json),
    };
    let output = Output::new(cli.global.json, cli.global.quiet, cli.global.verbose);
    match dispatch(cli.command, &cli.global, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code().exit_status())
        }
    }
}

fn dispatch(command: Command, global: &Global, output: &Output) -> Result<(), Failure> {
    let session = Session::new(global);
    match command {
        Command::Init(init) => init.run(&session, output),
        Command::Run(run) => run.run(&session, output),
        Command::Status => node::status(&session, output),
        Command::Peers => node::peers(&session, output),
        Command::Connect(connect) => connect.run(&session, output),
        Command::Doctor => doctor::run(&session, output),
        Command::Config(config) => config.run(&session, output),
        Command::Key(key) => key.run(output),
        Command::Bundle(bundle) => bundle.run(output),
        Command::App(app) => app.run(&session, output),
        Command::Group(group) => group.run(&session, output),
        Command::Member(member) => member.run(&session, output),
        Command::Whoami(whoami) => whoami.run(&session, output),
        Command::Invite(invite) => invite.run(&session, output),
        Command::Join(join) => join.run(&session, output),
        Command::Context(context) => context.run(&session, output),
        Command::Call(call) => call.run(&session, output),
        Command::Events(events) => events.run(&session, output),
        Command::Trace(trace) => trace.run(&session, output),
        Command::Sync(sync) => sync.run(&session, output),
        Command::Blob(blob) => blob.run(&session, output),
        Command::Generate(generate) => generate.run(&session, output),
        Command::Open(open) => open.run(&session, output),
        Command::Login(login) => login.run(&session, output),
        Command::Logout => login::logout(&session, output),
        Command::Token(token) => token.run(&session, output),
        Command::User(user) => user.run(&session, output),
        Command::BenchStore(bench) => bench.run(output),
        Command::BenchSignatures(bench) => bench.run(output),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "mesto", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// What to do with a command line that asks for help or is not understood.
fn refuse(error: &clap::Error, json: bool) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if json && !asked {
        let text = error.render().to_string();
        let (detail, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let detail = detail.trim_start_matches("error: ").split_whitespace().collect::<Vec<_>>().join(" ");
        let mut problem = Problem::new(ErrorCode::UsageError, detail);
        if let Some(usage) = rest.lines().find(|line| line.starts_with("Usage:")) {
            problem = problem.hint(usage.to_owned());
        }
        Output::new(true, false, false).failure(&Failure::from(problem));
    } else {
        let _ = error.print(); // to a terminal that is gone there is nothing to say
    }
    if asked { ExitCode::SUCCESS } else { ExitCode::from(ErrorCode::UsageError.exit_status()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_documented_form_is_understood() {
        for line in [
            "mesto init --name a --api-listen 127.0.0.1:0 --listen /ip4/127.0.0.1/tcp/0 --listen /ip4/127.0.0.1/udp/0/quic-v1 --bootstrap /ip4/127.0.0.1/tcp/1 --no-mdns",
            "mesto run --ready-fd 3",
            "mesto --home /tmp/x --json status",
            "mesto status --json --api http://127.0.0.1:1 --token t",
            "mesto peers -q",
            "mesto connect /ip4/127.0.0.1/tcp/1",
            "mesto key generate -o k.pem",
            "mesto key did k.pem",
            "mesto bundle sign manifest.json -k k.pem",
            "mesto bundle pack dir -o a.mpk",
            "mesto bundle verify a.mpk",
            "mesto bundle inspect a.mpk",
            "mesto app build",
            "mesto app build dir -o a.mpk --key k.pem",
            "mesto app install a.mpk",
            "mesto app ls",
            "mesto app show kv",
            "mesto group create --name g --app kv --policy lazy",
            "mesto group create --name h --parent g",
            "mesto group why g m manage-members",
            "mesto group ls",
            "mesto group show g",
            "mesto group settings g --name n --default-caps create-contexts --default-visibility restricted --policy lazy",
            "mesto group leave g",
            "mesto group rm g",
            "mesto trace f03 -f",
            "mesto member ls g",
            "mesto member add g CARD --role readonly --caps invite-members",
            "mesto member rm g m",
            "mesto member role g m admin",
            "mesto member caps g m create-contexts,manage-members",
            "mesto member caps g m",
            "mesto member alias g m name",
            "mesto whoami --new",
            "mesto invite ls g",
            "mesto invite revoke g i",
            "mesto context create g --restricted",
            "mesto context members c",
            "mesto context allow c m n",
            "mesto context disallow c m",
            "mesto context visibility c restricted",
            "mesto context leave c",
            "mesto context rm c",
            "mesto whoami",
            "mesto whoami g",
            "mesto invite g --role member --caps create-contexts,invite-members --expires 24h --uses 3",
            "mesto join TICKET --wait --timeout 10s --contexts all",
            "mesto context create g --app kv --name c --init {}",
            "mesto context join c --wait --timeout 5m",
            "mesto context ls",
            "mesto context ls g",
            "mesto context show c",
            "mesto call c set key=a value=b",
            "mesto call c set {} --as me",
            "mesto call c set -",
            "mesto events c d -f",
            "mesto events",
            "mesto sync c --wait --peer p",
            "mesto sync status",
            "mesto blob put file",
            "mesto blob get id -o file",
            "mesto blob ls",
            "mesto blob rm id",
            "mesto gen ts schema.json -o client.ts",
            "mesto gen rust kv",
            "mesto open c",
            "mesto open c --print",
            "mesto login --user anna --password-stdin",
            "mesto login --key k.pem --scope blob:read",
            "mesto logout",
            "mesto token create --name ci --scope context:execute[c] --scope blob:read --expires 24h",
            "mesto token create",
            "mesto token ls",
            "mesto token revoke id",
            "mesto user add anna --scope context:read --password-stdin",
            "mesto user add ci --public-key k",
            "mesto user ls",
            "mesto user rm anna",
            "mesto doctor",
            "mesto config show --origin",
            "mesto config set mdns false",
            "mesto completions bash",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
        }
    }

    #[test]
    fn flags_are_understood_after_the_arguments_of_a_call() {
        let cli = parse("mesto call c set key=a value=b --as me --json").unwrap();
        let Command::Call(call) = cli.command else { panic!("a call") };
        assert_eq!((call.args.len(), call.identity.as_deref(), cli.global.json), (2, Some("me"), true));
    }

    #[test]
    fn what_is_not_understood_is_a_usage_error() {
        for line in [
            "mesto",
            "mesto nothing",
            "mesto call",
            "mesto init --port 1",
            "mesto group create --policy never",
            "mesto join t --timeout soon",
            "mesto -q -v status",
        ] {
            let error = parse(line).err().unwrap();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert_eq!(parse("mesto --help").err().unwrap().exit_code(), 0);
        assert_eq!(parse("mesto --version").err().unwrap().exit_code(), 0);
    }
}
