//! Stories as files: `tests/golden/KIND/NAME.test` holds what is given and, below `# output`, the
//! whole screen. `UPDATE=1 cargo test --test golden` writes the screens anew; read the difference.
//!
//! A story begins with comment lines. Then what is given, each by a header line:
//!
//! ```text
//! # environment: NAME=value
//! # roots: services.d other.d           (services.d unless said)
//! # file: PATH [mode=0644] [crlf] [escaped]      its content follows
//! # directory: PATH
//! # fifo: PATH
//! # sparse: PATH BYTES
//! # link: PATH -> TARGET
//! # output, exit 1
//! ```
//!
//! `run` and `finish` are executable unless `mode` says otherwise; `crlf` gives a file Windows line
//! ends, `escaped` turns `\xNN` into bytes (so do paths).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a story that cannot be told fails"
)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use pidone::cli::{check, import};
use pidone::os::{programs, trees};
use pidone::service::definition::{Output, Program, Service, Stop};
use pidone::service::environment::Environment;
use pidone::service::executable::Executable;
use pidone::service::program::{Seen, Sought};
use pidone::service::settings::{self, Settings};
use pidone::service::{s6rc, set};
use pidone::values::Name;

/// A story that has been laid out in a directory of its own, which is gone when it ends.
struct Story {
    dir: PathBuf,
    environment: Environment,
    roots: Vec<PathBuf>,
}

impl Drop for Story {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Story {
    fn lay_out(given: &str, name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("pidone-golden-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(dir.join("services.d")).unwrap();
        let mut story = Self {
            roots: vec![dir.join("services.d")],
            dir,
            environment: Environment::default(),
        };
        let mut lines = given.lines().peekable();
        while let Some(line) = lines.next() {
            let Some((word, rest)) = header(line) else {
                continue;
            };
            let mut content = String::new();
            while let Some(line) = lines.next_if(|line| word == "file" && header(line).is_none()) {
                writeln!(content, "{line}").unwrap();
            }
            story.give(word, rest, &content);
        }
        story
    }

    fn give(&mut self, word: &str, rest: &str, content: &str) {
        let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let path = self.dir.join(String::from_utf8(unescaped(first)).unwrap());
        if word != "environment" && word != "roots" {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        match word {
            "environment" => {
                let (name, value) = rest.split_once('=').unwrap();
                let value = value.replace("DIR", &self.dir.display().to_string());
                self.environment.set(name, value);
            }
            "roots" => self.roots = rest.split(' ').map(|root| self.dir.join(root)).collect(),
            "file" => write(&path, content, more),
            "directory" => fs::create_dir_all(&path).unwrap(),
            "fifo" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            "sparse" => {
                let file = fs::File::create(&path).unwrap();
                file.set_len(more.parse().unwrap()).unwrap();
            }
            "link" => symlink(more.strip_prefix("-> ").unwrap(), &path).unwrap(),
            other => panic!("unknown header {other}"),
        }
    }
}

/// The word and the rest of a header line.
fn header(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.strip_prefix("# ")?.split_once(": ")?;
    let words = [
        "environment",
        "roots",
        "file",
        "directory",
        "fifo",
        "sparse",
        "link",
    ];
    words.contains(&word).then_some((word, rest))
}

fn write(path: &Path, content: &str, flags: &str) {
    let script = path.ends_with("run") || path.ends_with("finish");
    let mut mode = if script { 0o755 } else { 0o644 };
    let mut bytes = content.as_bytes().to_vec();
    for flag in flags.split_whitespace() {
        match flag.split_once('=') {
            Some(("mode", octal)) => mode = u32::from_str_radix(octal, 8).unwrap(),
            _ if flag == "crlf" => bytes = content.replace('\n', "\r\n").into_bytes(),
            _ if flag == "escaped" => bytes = unescaped(content),
            _ => panic!("unknown flag {flag}"),
        }
    }
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn unescaped(content: &str) -> Vec<u8> {
    let mut parts = content.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

/// Runs every story of a kind; `tell` gives the exit code and the screen.
fn stories(kind: &str, tell: impl Fn(&Story) -> (u8, String)) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy();
        let (given, _) = text.split_once("# output").unwrap_or((&text, ""));
        let story = Story::lay_out(given, &format!("{kind}-{name}"));
        let (code, screen) = tell(&story);
        let screen = screen.replace(&format!("{}/", story.dir.display()), "");
        let told = format!("{}\n# output, exit {code}\n{screen}", given.trim_end());
        if told == text {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, told).unwrap();
        } else {
            writeln!(wrong, "--- {name} now reads ---\n{told}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn check() {
    stories("check", |story| {
        let (mut settings, faults) = settings::read(&story.environment, None);
        if settings.services == Settings::default().services {
            settings.services.clone_from(&story.roots);
        }
        let user_known = |user: &str| match user {
            "root" | "app" | "1000" | "1000:1000" => Ok(()),
            other => Err(format!("unknown user `{other}`")),
        };
        // Programs are looked for where a story has some.
        let program = |sought: &Sought| match story.environment.get("PATH") {
            Some(_) => programs::look(sought),
            None => Seen::Runs,
        };
        let screen = check::screen(&settings, faults, &story.environment, &user_known, &program);
        (screen.code, screen.text)
    });
}

/// Trees of s6-rc's definitions in `s6-rc.d`, the user's bundles in `user-bundles.d`: every service
/// and bundle that they come to, or every fault.
#[test]
fn s6rc() {
    stories("s6rc", |story| {
        let dir = |name: &str| vec![story.dir.join(name)];
        let (tree, mut faults) = trees::read(&dir("s6-rc.d"), &dir("user-bundles.d"));
        let name = |text: &str| text.parse::<Name>().unwrap();
        let base = vec![name("fix-attrs"), name("legacy-cont-init")];
        let stages = ["fix-attrs", "legacy-cont-init", "legacy-services"];
        let own = stages.map(|stage| (name(stage), vec![name(stage)]));
        let known = own.into_iter().chain([(name("base"), base)]).collect();
        let compiled = s6rc::compile(&tree, &known);
        faults.extend(compiled.diagnostics);
        let stages = stages.map(|stage| Service::new(name(stage), vec![]));
        let all: Vec<Service> = compiled.services.into_iter().chain(stages).collect();
        if faults.is_empty() {
            faults = set::joined(all.clone()).diagnostics;
        }
        let errors = pidone::diag::errors(&faults);
        let mut screen = String::new();
        for fault in &faults {
            writeln!(screen, "{fault}").unwrap();
        }
        if errors == 0 {
            let services = all.iter().filter(|it| !known.contains_key(&it.name));
            services.for_each(|service| screen += &line(service));
            for (bundle, members) in compiled.bundles {
                if !known.contains_key(&bundle) {
                    writeln!(screen, "{bundle} = {}", names(&members)).unwrap();
                }
            }
        }
        (u8::from(errors > 0), screen)
    });
}

fn names(names: &[Name]) -> String {
    let names: Vec<&str> = names.iter().map(Name::as_str).collect();
    names.join(" ")
}

/// `web: longrun run …, needs db, ready by 3, > web-log`
fn line(service: &Service) -> String {
    let mut text = match &service.program {
        Program::Command(words) => format!("{}: oneshot {words:?}", service.name),
        Program::Run(file) => {
            let pace = service.restart.pace;
            format!("{}: longrun{}, pace {pace:?}", service.name, by(file))
        }
    };
    if let Some(down) = &service.down {
        write!(text, ", down {down:?}").unwrap();
    }
    if !service.needs.is_empty() {
        write!(text, ", needs {}", names(&service.needs)).unwrap();
    }
    if let Some(ready) = &service.ready {
        write!(text, ", {:?} within {:?}", ready.probe, ready.within).unwrap();
    }
    if let Output::Logger(consumer) = &service.output {
        write!(text, ", writes to {consumer}").unwrap();
    }
    if service.stop != Stop::default() {
        write!(
            text,
            ", stop by {:?} within {:?}",
            service.stop.by, service.stop.timeout
        )
        .unwrap();
    }
    if let Some(finish) = &service.finish {
        let by = by(&finish.file);
        write!(text, ", finish{by} within {:?}", finish.timeout).unwrap();
    }
    text + "\n"
}

/// What executes a file that cannot be executed.
fn by(file: &Executable) -> String {
    if file.by.is_empty() {
        String::new()
    } else {
        format!(" by {:?}", file.by)
    }
}

#[test]
fn import() {
    stories("import", |story| {
        let variable = |name: &str| {
            let value = story.environment.get(name)?;
            Some(value.to_str().unwrap().to_owned())
        };
        let from = ["root", "supervisord.conf"].map(|name| story.dir.join(name));
        let from = from.iter().find(|from| from.exists()).unwrap();
        let told = import::tell(from, &story.dir.join("services.d"), None, true, &variable);
        let faults = told.faults.iter().map(|fault| format!("{fault}\n"));
        let code = if told.faults.is_empty() {
            u8::from(told.lost)
        } else {
            2
        };
        // A mark depends on where the story is laid out.
        let mut marks = told.screen.split("(mark ");
        let mut screen = marks.next().unwrap_or_default().to_owned();
        for rest in marks {
            screen += "(mark …";
            screen += rest.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        }
        screen += &faults.collect::<String>();
        (code, screen.trim_end().to_owned() + "\n")
    });
}
