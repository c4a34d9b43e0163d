//! What a service's environment is made of: the container's, env-files, secrets, and its own.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::ffi::OsString;
use std::path::Path;

use pidone::service::definition::Service;
use pidone::service::environment::{Environment, of_service};
use pidone::service::expand::Fault;

fn service(env: &[(&str, &str)]) -> Service {
    let mut service = Service::new("web".parse().unwrap(), vec!["true".into()]);
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    service.context.env = env.iter().map(owned).collect();
    service
}

fn no_files(path: &Path, _bytes_max: u64) -> Result<Vec<u8>, String> {
    Err(format!("{}?", path.display()))
}

fn container(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

/// Files by their paths.
fn files(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let text = match path.to_str().unwrap() {
        "/etc/services.d/web/app.env" => "A=file\nFROM=${A}\nHOME=/app\nLANG\nNONE\n",
        "/etc/more.env" => "A=more\nKEY_FILE=/run/secrets/key\n",
        "/run/secrets/key" => "hunter2\r\n",
        "/run/secrets/two" => "hun ter2\n\n",
        "/run/secrets/nul" => "hunter\x002",
        "/bad.env" => "A=1\nB='hunter2",
        _ => return Err(format!("no such file or directory ({bytes_max})")),
    };
    Ok(text.as_bytes().to_vec())
}

fn shown(environment: &Environment) -> Vec<String> {
    environment
        .iter()
        .map(|(name, value)| format!("{}={}", name.display(), value.display()))
        .collect()
}

#[test]
fn files_secrets_and_own_variables_lie_over_each_other() {
    let container = container(&[
        ("A", "container"),
        ("DIR", "/etc"),
        ("HOST", "db"),
        ("LANG", "C"),
        ("TWO_FILE", "/run/secrets/two"),
        ("PLAIN", "plain"),
    ]);
    let mut service = service(&[
        ("URL", "http://${KEY}@${HOST}/${A}"),
        ("COPY", "${URL}!"),
        ("B", "${FROM}"),
    ]);
    service.dir = "/etc/services.d/web".into();
    service.context.env_files = vec!["app.env".into(), "${DIR}/more.env".into()];
    service.context.env_pass = Some(vec!["PA*".into()]);
    service.context.secrets = vec!["KEY".into(), "TWO".into(), "PLAIN".into()];
    let laid = of_service(&container, &service, &files).unwrap();
    assert_eq!(
        shown(&laid.environment),
        [
            "A=more",
            "B=${A}",
            "COPY=http://hunter2@db/more!",
            "FROM=${A}",
            "HOME=/app",
            "KEY=hunter2",
            "LANG=C",
            "PLAIN=plain",
            "TWO=hun ter2\n",
            "URL=http://hunter2@db/more",
        ]
    );
    assert!(laid.said.contains("HOME") && !laid.said.contains("USER"));
    // What holds a secret goes into the process and nowhere else.
    for name in ["KEY", "URL", "COPY", "PLAIN"] {
        let text = format!("${{{name}:-x}}");
        let fault = laid.environment.expand_text(&text);
        assert_eq!(fault, Err(Fault::Secret(name.into())));
    }
    assert_eq!(laid.environment.expand_text("${A}"), Ok("more".into()));
    assert!(!format!("{laid:?}").contains("hunter2"));
}

#[test]
fn what_cannot_be_read_names_the_file_and_not_its_content() {
    let fault = |variable: &str, value: &str, env_file: &str| {
        let container = container(&[(variable, value)]);
        let mut service = service(&[]);
        if env_file.is_empty() {
            service.context.secrets = vec!["KEY".into()];
        } else {
            service.context.env_files = vec![env_file.into()];
        }
        of_service(&container, &service, &files).unwrap_err()
    };
    for (variable, value, env_file, wanted) in [
        (
            "KEY_FILE",
            "/run/secrets/none",
            "",
            "cannot use `/run/secrets/none` for the secret `KEY`: \
             no such file or directory (65536)",
        ),
        (
            "KEY_FILE",
            "/run/secrets/nul",
            "",
            "cannot use `/run/secrets/nul` for the secret `KEY`: \
             it holds a NUL byte, which no variable can",
        ),
        (
            "KEY_FILE",
            "secrets/key",
            "",
            "cannot use `secrets/key` for the secret `KEY`: \
             `KEY_FILE` must be an absolute path",
        ),
        (
            "X",
            "",
            "",
            "the secret `KEY` is not there: `KEY_FILE` is not set, nor `KEY` itself",
        ),
        (
            "X",
            "/bad.env",
            "${X}",
            "cannot use the env-file `/bad.env`, line 2: a quote is not closed on its line",
        ),
        (
            "X",
            "",
            "/none.env",
            "cannot use the env-file `/none.env`: no such file or directory (1048576)",
        ),
        (
            "X",
            "",
            "${Y}",
            "cannot expand `env-file`: the variable `Y` is not set and has no default",
        ),
    ] {
        assert_eq!(fault(variable, value, env_file), wanted);
    }
}

#[test]
fn only_what_is_named_is_passed_on() {
    let container = container(&[
        ("APP_A", "1"),
        ("APPLE", "1"),
        ("PATH", "1"),
        ("PATHS", "1"),
        ("PIDONE_LOG", "info"),
    ]);
    let names = |patterns: Option<&[&str]>| {
        let mut service = service(&[("SEEN", "${APPLE}")]);
        let owned = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
        service.context.env_pass = patterns.map(owned);
        let laid = of_service(&container, &service, &no_files).unwrap();
        let names = laid
            .environment
            .iter()
            .map(|(name, _)| name.display().to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(None), "APPLE APP_A PATH PATHS SEEN");
    assert_eq!(names(Some(&["*"])), "APPLE APP_A PATH PATHS SEEN");
    assert_eq!(names(Some(&["APP_*", "PATH"])), "APP_A PATH SEEN");
    assert_eq!(names(Some(&["PIDONE_LOG"])), "SEEN");
    assert_eq!(names(Some(&[])), "SEEN");
}
