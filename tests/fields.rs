//! `docs/fields.md` and `docs/service.schema.json` say what the table of fields says.
//! `UPDATE=1 cargo test --test fields` writes them anew.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test may, and it asks another program"
)]

#[path = "fields/schema.rs"]
mod schema;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pidone::service::environment::Environment;
use pidone::service::fields::{Field, SERVICE, Shape};
use pidone::service::set::load;
use pidone::service::source::{Directory, File};
use serde_json::{Value, json};

/// Definitions that editors must not complain of, and that `pidone check` accepts.
const GOOD: [&str; 12] = [
    "command = 'x'",
    "command = ['x', 'y']\nneeds = []\nafter = ['a']\nenabled = '${A:-true}'",
    "command = 'x'\ntype = 'oneshot'\nrestart = 'on-failure'",
    "command = 'x'\numask = '0022'\nnice = -20\noom-score-adj = 1000",
    "command = 'x'\nlimits = { nofile = 1, core = 'unlimited', memlock = '1MiB' }",
    "command = 'x'\nenv = { A = 'b' }\nenv-file = 'a'\nenv-pass = ['A*']\nsecrets = ['B']",
    "command = 'x'\nenv-file = ['a', 'b']\ncapabilities = ['CHOWN']",
    "command = 'x'\n[ready]\nunix = '/run/x'\ninterval = '1.5s'\nwithin = '1m30s'",
    "command = 'x'\n[ready]\nfd = 3",
    "command = 'x'\n[restart]\nwhen = 'always'\njitter = 0.5\nlimit = { times = 1, within = '1s' }",
    "command = 'x'\n[stop]\nsignal = 3\ngroup = true\ntimeout = '250ms'",
    "command = 'x'\n[reload]\ncommand = ['a']\n[log]\nformat = 'json'",
];

/// Definitions of which both complain.
const BAD: [&str; 21] = [
    "command = 3",
    "command = []",
    "comand = 'x'",
    "command = 'x'\ntype = 'forking'",
    "command = 'x'\nneeds = 'db'",
    "command = 'x'\nmain = 'true'",
    "command = 'x'\numask = 22",
    "command = 'x'\numask = '88'",
    "command = 'x'\nenv = { A = 3 }",
    "command = 'x'\nenv-pass = 'PATH'",
    "command = 'x'\nnice = 20",
    "command = 'x'\noom-score-adj = -1001",
    "command = 'x'\nlimits = { files = 3 }",
    "command = 'x'\nrestart = 'sometimes'",
    "command = 'x'\n[ready]\nwithin = '5s'",
    "command = 'x'\n[ready]\ntcp = '127.0.0.1:1'\nfd = 3",
    "command = 'x'\n[ready]\nfd = 2",
    "command = 'x'\n[restart]\njitter = 2\n",
    "command = 'x'\n[restart]\nlimit = { times = 3 }",
    "command = 'x'\n[stop]\ntimeout = 5",
    "command = 'x'\n[reload]\nsignal = 'HUP'\ncommand = 'x'",
];

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// The file says `text`, or does from now on.
fn keep(name: &str, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(docs(name), text).unwrap();
    }
    let found = fs::read_to_string(docs(name)).unwrap_or_default();
    assert!(
        found == text,
        "docs/{name} is not what the table of fields says; UPDATE=1 writes it anew"
    );
}

#[test]
fn the_page_says_what_the_table_says() {
    let mut page = "# The fields of a service.toml\n\n\
        Made from the table in `src/service/fields.rs`, as `pidone help service` is, which also \
        tells how\nvalues are written. For editors there is `service.schema.json`: begin the file \
        with\n`#:schema` and its path or URL.\n"
        .to_owned();
    let mut section = None;
    let cell = |text: &str| text.replace('|', "\\|").replace('*', "\\*");
    for field in SERVICE {
        if section != Some(field.section) {
            section = Some(field.section);
            if !field.section.is_empty() {
                write!(page, "\n## [{}]\n", field.section).unwrap();
            }
            page.push_str("\n| field | takes | default | meaning |\n|---|---|---|---|\n");
        }
        let Field {
            name,
            takes,
            default,
            meaning,
            ..
        } = field;
        let (takes, default, meaning) = (cell(takes), cell(default), cell(meaning));
        writeln!(page, "| `{name}` | {takes} | {default} | {meaning} |").unwrap();
    }
    keep("fields.md", &page);
}

#[test]
fn the_schema_says_what_the_table_says() {
    let schema = schema::of_services();
    let text = serde_json::to_string_pretty(&schema).unwrap();
    keep("service.schema.json", &format!("{text}\n"));
}

/// Whether `pidone check` has no complaint.
fn accepted(definition: &str) -> bool {
    let directory = Directory {
        name: "web".into(),
        path: "services.d/web".into(),
        definition: File::Content(definition.as_bytes().to_vec()),
        ..Directory::default()
    };
    !load(
        &[directory],
        &Environment::default(),
        &|_| Ok(()),
        &pidone::os::files::zone,
    )
    .has_errors()
}

/// Every definition of the repository that stands for good ones.
fn shown() -> Vec<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for root in ["docs/services.d", "services.d"] {
        for entry in fs::read_dir(top.join(root)).unwrap() {
            let path = entry.unwrap().path().join("service.toml");
            found.extend(fs::read_to_string(path).ok());
        }
    }
    assert!(found.len() > 3);
    found
}

#[test]
fn the_schema_and_the_parser_agree() {
    let schema = schema::of_services();
    let read = |text: &str| toml::from_str::<Value>(text).unwrap();
    for text in GOOD {
        assert!(accepted(text), "{text}");
        assert_eq!(schema::faults(&schema, &read(text)), "", "{text}");
    }
    for text in shown() {
        assert_eq!(schema::faults(&schema, &read(&text)), "", "{text}");
    }
    for text in BAD {
        assert!(!accepted(text), "{text}");
        let fault = schema::faults(&schema, &read(text));
        assert_ne!(fault, "", "{text}");
    }
}

#[test]
fn another_reader_of_schemas_agrees() {
    const SCRIPT: &str = "import json, sys, jsonschema\n\
        given = json.load(sys.stdin)\n\
        jsonschema.Draft7Validator.check_schema(given['schema'])\n\
        validator = jsonschema.Draft7Validator(given['schema'])\n\
        print(json.dumps([validator.is_valid(x) for x in given['definitions']]))\n";
    let has_it = Command::new("python3")
        .args(["-c", "import jsonschema"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_it {
        // Not `eprintln!`, which the test runner keeps to itself while a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: Python's jsonschema is missing");
        assert!(std::env::var("PIDONE_REQUIRE_ALL").is_ok_and(|v| v != "1"));
        return;
    }
    let texts: Vec<String> = GOOD.map(str::to_owned).into_iter().chain(shown()).collect();
    let good = texts.len();
    let all = texts.iter().map(String::as_str).chain(BAD);
    let definitions: Vec<Value> = all.map(|text| toml::from_str(text).unwrap()).collect();
    let given = json!({ "schema": schema::of_services(), "definitions": definitions });
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(given.to_string().as_bytes()).unwrap();
    drop(stdin);
    let answer = python.wait_with_output().unwrap().stdout;
    let valid: Vec<bool> = serde_json::from_slice(&answer).unwrap();
    assert_eq!(valid.len(), definitions.len());
    for (at, (valid, definition)) in valid.iter().zip(&definitions).enumerate() {
        assert_eq!(*valid, at < good, "{definition}");
    }
}

#[test]
fn the_example_names_the_schema_beside_it_and_has_every_field() {
    let text = fs::read_to_string(docs("services.d/web/service.toml")).unwrap();
    let path = text.lines().next().unwrap().strip_prefix("#:schema ");
    assert!(docs("services.d/web").join(path.unwrap()).exists());
    for field in SERVICE.iter().filter(|field| field.shape != Shape::Table) {
        let key = |line: &str| {
            let line = line.trim_start_matches("# ");
            line.starts_with(&format!("{} =", field.name))
        };
        let inside = text.contains(&format!("{{ {} =", field.name))
            || text.contains(&format!(", {} =", field.name));
        let table = text.contains(&format!("\n[{}]", field.name));
        assert!(
            text.lines().any(key) || inside || table,
            "`{}` of `[{}]` is missing",
            field.name,
            field.section
        );
    }
}
