//! Files and what comes of them, and what their writers read of their mistakes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::cli::Command;
use crate::settings::{DeploySettings, DevSettings, SynthSettings, VerifySettings};
use crate::template::Cdn;

/// A folder with a file in it.
struct Folder(PathBuf);

impl Folder {
    fn with(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chatctl-config-{}-{count}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join(NAME), text).unwrap();
        folder
    }

    fn parse(&self, arguments: &[&str]) -> Result<Parsed, Error> {
        let arguments = ["chatctl"].iter().chain(arguments).map(OsString::from);
        parse(arguments, &self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn parsed(text: &str, arguments: &[&str]) -> Parsed {
    let parsed = Folder::with(text).parse(arguments);
    parsed.unwrap_or_else(|error| panic!("{text}\n{arguments:?}\n{}", told(&error)))
}

fn deploy(text: &str, arguments: &[&str]) -> DeploySettings {
    let arguments = [&["deploy"], arguments].concat();
    let Command::Deploy(args) = parsed(text, &arguments).cli.command else {
        panic!("{arguments:?}");
    };
    DeploySettings::new(&args).unwrap()
}

fn told(error: &Error) -> String {
    let hint = error.hint();
    let hint = hint.map(|it| format!("\nhint: {it}")).unwrap_or_default();
    format!("error: {error}{hint}")
}

/// What the writer of a file reads of its mistake, whatever the command.
fn mistake(text: &str) -> String {
    let folder = Folder::with(text);
    let error = folder.parse(&["deploy"]).expect_err(text);
    assert_eq!(error.exit_code() as u8, 2, "{text}");
    let other = folder.parse(&["urls"]).expect_err("another command");
    assert_eq!(told(&other), told(&error), "{text}");
    told(&error)
}

const FILE: &str = r#"
stage = "test"
region = "eu-central-1"
history-days = 30
cdn = "off"
verify = true
wwwroot = "page"

[tags]
team = "chat"
cost = "12"

[stages.prod]
region = "us-east-1"
history-days = 0x16D
cdn = "on"
verify = false

[stages.prod.tags]
cost = "34"
"#;

#[test]
fn a_file_says_what_no_flag_says_and_a_stages_table_says_it_for_that_stage() {
    let settings = deploy(FILE, &[]);
    assert_eq!(settings.template.stage.as_str(), "test");
    assert_eq!(settings.account.region.as_deref(), Some("eu-central-1"));
    assert_eq!(settings.account.profile, None);
    assert_eq!((settings.history_days, settings.cdn), (30, Cdn::Off));
    assert!(settings.verify);

    let prod = deploy(FILE, &["--stage", "prod"]);
    assert_eq!(prod.template.stage.as_str(), "prod");
    assert_eq!(prod.account.region.as_deref(), Some("us-east-1"));
    assert_eq!((prod.history_days, prod.cdn), (365, Cdn::On));
    assert!(!prod.verify, "switched off for that stage alone");
    assert!(prod.wwwroot.is_some(), "for all stages");

    let none = deploy("", &[]);
    assert_eq!(none.template.stage.as_str(), "dev");
    let dev = deploy("[stages.dev]\nhistory-days = 3", &[]);
    assert_eq!(dev.history_days, 3, "the stage that nobody names");
}

#[test]
fn a_flag_wins_over_the_file() {
    let arguments = [
        "--history-days",
        "1",
        "--cdn",
        "on",
        "--region",
        "eu-west-1",
    ];
    let settings = deploy(FILE, &arguments);
    assert_eq!((settings.history_days, settings.cdn), (1, Cdn::On));
    assert_eq!(settings.account.region.as_deref(), Some("eu-west-1"));
}

/// What a stack would be given for alarms and a domain, and what is told of settings that do not count.
fn excluded(text: &str, arguments: &[&str]) -> (BTreeMap<&'static str, String>, Vec<String>) {
    let arguments = [&["deploy"], arguments].concat();
    let Parsed { cli, origin } = parsed(text, &arguments);
    let Command::Deploy(args) = cli.command else {
        panic!("{arguments:?}");
    };
    let settings = DeploySettings::new(&args).unwrap();
    let mut given = BTreeMap::from(settings.operations.parameters());
    given.insert("Cdn", settings.cdn.to_string());
    let domain = settings.domain.map(|it| it.name.to_string());
    given.insert("DomainName", domain.unwrap_or_default());
    (given, origin.set_aside())
}

const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:on-call";
const DOMAIN: &str = "domain = \"chat.example.org\"\n\
    certificate-arn = \"arn:aws:acm:us-east-1:123456789012:certificate/1\"\n";

#[test]
fn a_stage_or_a_flag_without_sign_in_sets_the_provider_of_the_file_aside() {
    let provider = "auth = \"oidc\"\nissuer = \"https://a.example\"\naudience = \"chat\"\n";
    for (text, arguments) in [
        (
            format!("{provider}[stages.dev]\nauth = \"none\""),
            vec!["deploy"],
        ),
        (provider.to_owned(), vec!["deploy", "--auth", "none"]),
    ] {
        let Parsed { cli, .. } = parsed(&text, &arguments);
        let Command::Deploy(args) = cli.command else {
            panic!("a deploy");
        };
        DeploySettings::new(&args).unwrap();
    }
}

#[test]
fn of_two_that_exclude_each_other_the_more_explicit_one_counts() {
    let email = "alarm-email = \"ann@example.org\"\n";
    let (given, told) = excluded(email, &["--alarm-topic", TOPIC]);
    assert_eq!(given["AlarmTopicArn"], TOPIC);
    assert_eq!(
        given["AlarmEmail"], "",
        "the file's, and a flag says another"
    );
    assert_eq!(
        told,
        ["beside `--alarm-topic` this does not count: `alarm-email` (chatctl.toml:1:1)"]
    );
    let (given, _) = excluded(email, &["--alarms", "off"]);
    assert_eq!((&*given["Alarms"], &*given["AlarmEmail"]), ("off", ""));

    let (given, told) = excluded(DOMAIN, &["--cdn", "off"]);
    assert_eq!((&*given["Cdn"], &*given["DomainName"]), ("off", ""));
    assert_eq!(
        told,
        ["beside `--cdn off` this does not count: \
          `domain` (chatctl.toml:1:1), `certificate-arn` (chatctl.toml:2:1)"]
    );
    let certificate = "arn:aws:acm:us-east-1:123456789012:certificate/1";
    let by_hand = [
        "--domain",
        "a.example.org",
        "--certificate-arn",
        certificate,
    ];
    let (given, told) = excluded("cdn = \"off\"", &by_hand);
    assert_eq!(
        (&*given["Cdn"], &*given["DomainName"]),
        ("on", "a.example.org")
    );
    assert_eq!(told.len(), 1, "{told:?}");

    // What a stage says is more than what is said for all.
    let of_stages = format!("{email}[stages.prod]\nalarm-topic = \"{TOPIC}\"\n");
    let (given, told) = excluded(&of_stages, &["--stage", "prod"]);
    assert_eq!(
        (&*given["AlarmTopicArn"], &*given["AlarmEmail"]),
        (TOPIC, "")
    );
    assert_eq!(told.len(), 1, "{told:?}");
    let (given, told) = excluded(&of_stages, &[]);
    assert_eq!(given["AlarmEmail"], "ann@example.org");
    assert_eq!(told, [""; 0]);
    // To take it back is to say nothing else.
    let back = format!("{email}[stages.prod]\nalarm-email = \"\"\n");
    let (given, told) = excluded(&back, &["--stage", "prod"]);
    assert_eq!(given["AlarmEmail"], "");
    assert_eq!(told, [""; 0]);
}

#[test]
fn two_of_one_table_that_exclude_each_other_are_refused_with_their_remedy() {
    let text = format!("alarm-email = \"ann@example.org\"\nalarm-topic = \"{TOPIC}\"");
    let folder = Folder::with(&text);
    let error = folder.parse(&["deploy"]).unwrap_err();
    assert_eq!(error.exit_code() as u8, 2);
    assert_eq!(
        told(&error),
        "error: chatctl.toml:2:1: `alarm-topic` does not go with `alarm-email`\n\
         hint: take one of them out; for one stage, `alarm-topic = \"\"` or `alarm-email = \"\"` below \
         `[stages.NAME]` takes back what is set for all"
    );
    // Whoever says neither has no say in it, and a verb that knows neither does not care.
    folder.parse(&["urls"]).unwrap();
    folder.parse(&["deploy", "--alarms", "off"]).unwrap();
    let Parsed { cli, .. } = parsed(&format!("cdn = \"off\"\n{DOMAIN}"), &["deploy"]);
    let Command::Deploy(args) = cli.command else {
        panic!("a deploy");
    };
    let error = DeploySettings::new(&args).unwrap_err();
    assert_eq!(error.to_string(), "`--domain` does not go with `--cdn off`");
}

#[test]
fn a_swap_leaves_the_files_settings_aside_and_says_so() {
    let text = format!(
        "region = \"eu-central-1\"\nmemory = 512\nrole-arn = \"nonsense\"\n{DOMAIN}[tags]\na = \"b\""
    );
    let Parsed { cli, origin } = parsed(&text, &["deploy", "--hotswap"]);
    let Command::Deploy(args) = cli.command else {
        panic!("a deploy");
    };
    let settings = DeploySettings::new(&args).unwrap();
    assert!(settings.hotswap);
    assert_eq!(settings.account.region.as_deref(), Some("eu-central-1"));
    let told = origin.set_aside();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("beside `--hotswap` this does not count: "));
    for key in ["memory", "role-arn", "domain", "tag"] {
        assert!(told[0].contains(&format!("`{key}` (")), "{told:?}");
    }
}

#[test]
fn a_path_is_counted_from_the_files_folder() {
    let folder = Folder::with("wwwroot = \"page\"\nbootstrap = \"/elsewhere/bootstrap\"");
    let inner = folder.0.join("inner");
    std::fs::create_dir(folder.0.join(".git")).unwrap();
    std::fs::create_dir(&inner).unwrap();
    let arguments = ["chatctl", "deploy"].map(OsString::from);
    let Command::Deploy(args) = parse(arguments, &inner).unwrap().cli.command else {
        panic!("deploy");
    };
    assert_eq!(args.source.wwwroot, Some(folder.0.join("page")));
    assert_eq!(args.source.bootstrap, Some("/elsewhere/bootstrap".into()));
}

#[test]
fn what_can_be_given_several_times_is_a_list_or_one() {
    for (text, expected) in [
        (
            "fault = [\"gone=1%\", \"crash=2%\"]",
            ["gone=1%", "crash=2%"].as_slice(),
        ),
        ("fault = \"gone=1%\"", &["gone=1%"]),
        ("fault = []", &[]),
    ] {
        let Command::Dev(args) = parsed(text, &["dev"]).cli.command else {
            panic!("dev");
        };
        assert_eq!(args.fault, expected, "{text}");
        DevSettings::new(&args).unwrap();
    }
}

#[test]
fn what_a_flag_needs_may_stand_in_the_file() {
    let text = "fault = [\"gone=1%\", \"crash=2%\"]";
    let Command::Dev(args) = parsed(text, &["dev", "--seed", "7"]).cli.command else {
        panic!("dev");
    };
    assert_eq!((args.seed, args.fault.len()), (Some(7), 2));
    let error = Folder::with("").parse(&["dev", "--seed", "7"]).unwrap_err();
    assert!(error.to_string().contains("--fault"), "{error}");
}

#[test]
fn a_setting_that_the_command_does_not_know_is_for_others() {
    let parsed = parsed("port = 1234\nregion = \"eu-central-1\"", &["synth"]);
    let Command::Synth(args) = &parsed.cli.command else {
        panic!("synth");
    };
    SynthSettings::new(args).unwrap();
    assert_eq!(parsed.origin.file(), None, "nothing of it counts");
}

#[test]
fn the_file_is_named_when_anything_of_it_counts() {
    let counts = |arguments: &[&str]| parsed("region = \"r\"", arguments).origin.file().is_some();
    assert!(counts(&["urls"]));
    assert!(!counts(&["urls", "--region", "s"]));
    assert!(!counts(&["dev"]));
}

#[test]
fn another_file_can_be_named_and_none_as_well() {
    let folder = Folder::with("history-days = \"wrong\"");
    std::fs::write(folder.0.join("other.toml"), "history-days = 2").unwrap();
    let days = |arguments: &[&str]| match folder.parse(arguments).unwrap().cli.command {
        Command::Deploy(args) => args.source.history_days,
        other => panic!("{other:?}"),
    };
    assert_eq!(days(&["deploy", "--config", "other.toml"]), 2);
    assert_eq!(days(&["--config=other.toml", "deploy"]), 2);
    assert_eq!(days(&["deploy", "--config="]), 7);
    let error = folder.parse(&["deploy", "--config", "nowhere.toml"]);
    assert_eq!(
        told(&error.unwrap_err()),
        "error: `nowhere.toml` cannot be read\n\
         hint: name another file with `--config` or `CHATCTL_CONFIG`; `--config ''` reads none"
    );
}

#[test]
fn help_needs_no_file_and_a_wrong_command_line_is_told_before_a_wrong_file() {
    let folder = Folder::with("history-days =");
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["deploy", "--help"], 0),
        (&["deploy", "--frobnicate"], 2),
    ] {
        let error = folder.parse(arguments).unwrap_err();
        assert!(matches!(error, Error::CommandLine(_)), "{arguments:?}");
        assert_eq!(error.exit_code() as u8, code, "{arguments:?}");
    }
}

/// What is written, and what its writer reads of it.
const MISTAKES: [(&str, &str); 19] = [
    (
        "\nregoin = \"eu-central-1\"",
        "error: chatctl.toml:2:1: there is no setting `regoin`\n\
         hint: is `region` meant? all settings are in docs/settings.md",
    ),
    (
        "history_days = 3",
        "error: chatctl.toml:1:1: there is no setting `history_days`\n\
         hint: is `history-days` meant? all settings are in docs/settings.md",
    ),
    (
        "[stage.prod]",
        "error: chatctl.toml:1:2: `stage` has to be a text in quotes, and is a table\n\
         hint: write `stage = …` with a text in quotes; docs/settings.md has examples",
    ),
    (
        "[tag]\nx = \"y\"",
        "error: chatctl.toml:1:2: `tag` cannot be set in a file: tags are a table of their own, \
         `[tags]`\n\
         hint: write `[tags]`, and below it a line such as `team = \"chat\"`",
    ),
    (
        "[stages.prod]\nstage = \"prod\"",
        "error: chatctl.toml:2:1: `stage` cannot be set for one stage\n\
         hint: set it above all tables: it is the stage that is meant where none is given",
    ),
    (
        "[stages.Prod]",
        "error: chatctl.toml:1:9: `Prod` is not a stage name\n\
         hint: a table `[stages.NAME]` is for the stage of that name: lower-case letters, digits \
         and inner hyphens, at most 20",
    ),
    (
        "stages = 3",
        "error: chatctl.toml:1:10: `stages` has to be a table, `[stages]`, and is a number\n\
         hint: write `stages = …` with a table, `[stages]`; docs/settings.md has examples",
    ),
    (
        "history-days = \"30\"",
        "error: chatctl.toml:1:16: `history-days` has to be a number, and is a text\n\
         hint: write `history-days = …` with a number; docs/settings.md has examples",
    ),
    (
        "verify = \"yes\"",
        "error: chatctl.toml:1:10: `verify` has to be `true` or `false`, and is a text\n\
         hint: write `verify = …` with `true` or `false`; docs/settings.md has examples",
    ),
    (
        "fault = [\"gone=1%\", 3]",
        "error: chatctl.toml:1:21: `fault` has to be a text in quotes, or a list of such, and is \
         a number\n\
         hint: write `fault = …` with a text in quotes, or a list of such; docs/settings.md has \
         examples",
    ),
    (
        "region = [\"a\", \"b\"]",
        "error: chatctl.toml:1:10: `region` has to be a text in quotes, and is a list\n\
         hint: write `region = …` with a text in quotes; docs/settings.md has examples",
    ),
    (
        "region = eu-central-1",
        "error: chatctl.toml:1:10: string values must be quoted, expected literal string\n\
         hint: a setting is a line such as `region = \"eu-central-1\"` or `history-days = 30`",
    ),
    (
        "# ä\n[stages.prod]\nhistory-days = 3651",
        "error: chatctl.toml:3:16: `history-days` cannot be `3651`: 3651 is not in 0..=3650\n\
         hint: docs/settings.md tells what `history-days` can be",
    ),
    (
        "cdn = \"maybe\"",
        "error: chatctl.toml:1:7: `cdn` cannot be `maybe`\n\
         hint: it can be \"on\" or \"off\"",
    ),
    (
        "port = 123456",
        "error: chatctl.toml:1:8: `port` cannot be `123456`: not a number from 0 to 65535\n\
         hint: docs/settings.md tells what `port` can be",
    ),
    (
        "yes = true",
        "error: chatctl.toml:1:1: `yes` cannot be set in a file: a question that nobody sees \
         protects nobody\n\
         hint: take it out of the file, and give `--yes` where it is wanted",
    ),
    (
        "[stages.prod]\nallow-replacement = true",
        "error: chatctl.toml:2:1: `allow-replacement` cannot be set in a file: it is consent to \
         one loss of data, and a file would give it each time\n\
         hint: take it out of the file, and give `--allow-replacement` where it is wanted",
    ),
    (
        "[tags]\nteam = 3",
        "error: chatctl.toml:2:8: `tags.team` has to be a text in quotes, and is a number\n\
         hint: write `tags.team = …` with a text in quotes; docs/settings.md has examples",
    ),
    (
        "region = \"a\"\nregion = \"b\"",
        "error: chatctl.toml:2:1: duplicate key\n\
         hint: a setting is a line such as `region = \"eu-central-1\"` or `history-days = 30`",
    ),
];

#[test]
fn each_kind_of_mistake_is_told_with_its_place_and_its_remedy() {
    const MANY: &str = "\nhint: all settings are in docs/settings.md";
    for (text, expected) in MISTAKES {
        assert_eq!(mistake(text), expected, "{text}");
    }
    let unlike = mistake("frobnicate = 1");
    assert!(unlike.ends_with(MANY), "{unlike}");
}

#[test]
fn what_only_the_settings_as_a_whole_refuse_is_told_with_its_place() {
    type Check = fn(Command) -> Result<(), crate::settings::SettingsError>;
    let dev: Check = |command| match command {
        Command::Dev(args) => DevSettings::new(&args).map(drop),
        other => panic!("{other:?}"),
    };
    let verify: Check = |command| match command {
        Command::Verify(args) => VerifySettings::new(&args).map(drop),
        other => panic!("{other:?}"),
    };
    let deploy: Check = |command| match command {
        Command::Deploy(args) => DeploySettings::new(&args).map(drop),
        other => panic!("{other:?}"),
    };
    for (text, command, check, expected) in [
        (
            "stage = \"My\"",
            "dev",
            dev,
            "1:1: `stage`: `My` is not a stage name",
        ),
        (
            "\nidle-timeout = \"x\"",
            "dev",
            dev,
            "2:1: `idle-timeout`: `--idle-timeout x` is not",
        ),
        (
            "fault = \"gnoe=1%\"",
            "dev",
            dev,
            "1:1: `fault`: there is no fault `gnoe`",
        ),
        (
            "timeout = \"11m\"",
            "verify",
            verify,
            "1:1: `timeout`: `--timeout 11m` is not",
        ),
        (
            "role-arn = \"x\"",
            "deploy",
            deploy,
            "1:1: `role-arn`: `x` is not the ARN of a role",
        ),
    ] {
        let Parsed { cli, origin } = parsed(text, &[command]);
        let error = origin.explain(check(cli.command).unwrap_err().into());
        assert_eq!(error.exit_code() as u8, 2, "{text}");
        let error = error.to_string();
        assert!(
            error.starts_with(&format!("chatctl.toml:{expected}")),
            "{error}"
        );
    }
    // By hand it is nobody's line.
    let Parsed { cli, origin } = parsed("stage = \"dev\"", &["dev", "--stage", "My"]);
    let error = origin.explain(dev(cli.command).unwrap_err().into());
    assert_eq!(error.to_string(), "`My` is not a stage name");
}

#[test]
fn every_flag_is_a_setting_or_has_a_reason_not_to_be_one() {
    let schema = Schema::new(&Cli::command());
    for (key, _) in schema::NOT_IN_A_FILE {
        assert!(!schema.flags(key).is_empty(), "there is no `--{key}`");
    }
    // One key is one kind of value, whoever reads it.
    for key in schema.keys() {
        let kinds = schema.flags(key).iter().map(|it| (it.kind(), it.is_list()));
        let kinds: Vec<_> = kinds.collect();
        assert!(kinds.iter().all(|it| *it == kinds[0]), "{key}: {kinds:?}");
    }
}

/// The table of docs/settings.md, as the flags have it.
fn table() -> String {
    let schema = Schema::new(&Cli::command());
    let mut lines = vec!["| setting | is | for | what it does |".to_owned()];
    lines.push("| --- | --- | --- | --- |".to_owned());
    for key in schema.keys() {
        let flags = schema.flags(key);
        let commands: Vec<_> = flags.iter().map(|it| it.path.join(" ")).collect();
        let commands = match commands.join(", ") {
            all if all.is_empty() => "all".to_owned(),
            some => some,
        };
        let help = flags[0].arg.get_help().map(ToString::to_string);
        let help = help.unwrap_or_default().replace('|', "\\|");
        lines.push(format!(
            "| `{key}` | {} | {commands} | {help} |",
            kind(&flags[0])
        ));
    }
    lines.join("\n")
}

fn kind(flag: &schema::Flag) -> String {
    let parser = flag.arg.get_value_parser();
    if let (schema::Kind::Text, Some(values)) = (flag.kind(), parser.possible_values()) {
        let values = values.filter(|it| !it.is_hide_set());
        let values: Vec<_> = values
            .map(|it| format!("`\"{}\"`", it.get_name()))
            .collect();
        return values.join(" or ");
    }
    let words = match flag.kind() {
        schema::Kind::Path => "a path, in quotes",
        schema::Kind::Text if flag.is_list() => "a text or a list of texts",
        kind => kind.words(),
    };
    words.to_owned()
}

/// Where the documents stand between the two, what they say is what the flags say.
const MARKS: [&str; 2] = ["<!-- settings: begin -->\n", "\n<!-- settings: end -->"];

#[test]
fn the_document_has_every_setting_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(MARKS[0]).unwrap();
    let (stands, after) = rest.split_once(MARKS[1]).unwrap();
    let table = table();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let [begin, end] = MARKS;
        std::fs::write(path, [before, begin, &table, end, after].concat()).unwrap();
    } else {
        assert_eq!(stands, table, "with UPDATE_DOCS=1 this test writes it");
    }
    for (key, reason) in schema::NOT_IN_A_FILE {
        assert!(document.contains(&format!("`{key}`")), "{key}: {reason}");
    }
}

#[test]
fn the_example_is_a_good_file_and_says_something_for_a_stage() {
    let text = include_str!("../../../docs/chatctl.toml");
    let dev = deploy(text, &[]);
    let prod = deploy(text, &["--stage", "prod"]);
    assert_ne!(dev.history_days, prod.history_days);
    assert_ne!(dev.account.region, None);
    // What it shows in comments is good as well.
    let uncommented: Vec<_> = text
        .lines()
        .map(|line| match line.strip_prefix("#") {
            Some(rest) if rest.starts_with(|it: char| it.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect();
    assert!(uncommented.join("\n").len() < text.len(), "there are some");
    deploy(&uncommented.join("\n"), &["--stage", "prod"]);
}
