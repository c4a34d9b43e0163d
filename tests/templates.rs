//! Templates as stories: `tests/golden/template/NAME.test` holds a template, its data and, below
//! `# output`, the file or what is told instead. `UPDATE=1 cargo test --test templates` writes the
//! outputs anew; read the difference.

#![expect(clippy::unwrap_used, reason = "a story that cannot be told fails")]

use std::fs;
use std::path::Path;

use pidone::template::data::Data;
use pidone::template::engine::Template;

fn tell(template: &str, data: &str) -> String {
    let data = Data::parse(data).unwrap();
    let template = Template::parse(Path::new("haproxy.cfg.hbs"), template.to_owned());
    let made = template.and_then(|template| template.render(&data));
    made.unwrap_or_else(|fault| fault.to_string())
}

/// The text between this line and the next of the headers.
fn part<'a>(story: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = story.split_once(from).unwrap();
    rest.split_once(to).map_or(rest, |(part, _)| part)
}

#[test]
fn every_story_ends_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/template");
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let story = fs::read_to_string(&path).unwrap();
        let (given, told) = story.split_once("# output\n").unwrap();
        let template = part(given, "# template\n", "# data\n");
        let now = tell(template, part(given, "# data\n", "# output\n"));
        count += 1;
        if now == told {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, format!("{given}# output\n{now}")).unwrap();
        } else {
            wrong.push(format!("{}:\n{now}\nis not\n{told}", path.display()));
        }
    }
    assert!(count > 10, "{count} stories");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

mod render {
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Command, Output};

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("pidone-render-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[expect(clippy::disallowed_methods, reason = "it runs the real binary")]
    fn pidone(args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pidone"));
        let command = command
            .arg("render")
            .args(args)
            .env("GREETING", "hello\nyou");
        let command = command.env("PIDONE_AGENT_SOCKET", "/nowhere/agent.sock");
        command.output().unwrap()
    }

    #[test]
    fn a_template_is_rendered_once() {
        let dir = scratch("once");
        let (template, to) = (dir.join("t.hbs"), dir.join("t.txt"));
        let (template, to) = (template.to_str().unwrap(), to.to_str().unwrap());
        fs::write(
            template,
            "{{env.GREETING}} {{#each list}}{{this}};{{/each}}\n",
        )
        .unwrap();
        let data = r#"{"list": [1, "a"]}"#;
        let shown = pidone(&[template, "--data", data]);
        assert_eq!(shown.stdout, "hello\u{fffd}you 1;a;\n".as_bytes());
        let swapped = pidone(&[template, "--data", data, "--to", to]);
        assert_eq!(
            (swapped.status.code(), &*swapped.stdout),
            (Some(0), &b""[..])
        );
        assert_eq!(fs::read(to).unwrap(), shown.stdout);
        fs::write(dir.join("d.json"), r#"{"list": [2]}"#).unwrap();
        let at = format!("@{}/d.json", dir.display());
        assert_eq!(
            pidone(&[template, "--data", &at, "--to", to]).status.code(),
            Some(0)
        );
        assert_eq!(fs::read_to_string(to).unwrap(), "hello\u{fffd}you 2;\n");
        assert!(dir.join("t.txt.prev").exists());
        let checked = pidone(&[template, "--data", data, "--check"]);
        assert_eq!(
            (checked.status.code(), &*checked.stdout),
            (Some(0), &b""[..])
        );
        let _ = fs::remove_dir_all(dir);
    }

    #[test]
    fn what_cannot_be_rendered_is_told_and_nothing_is_written() {
        let dir = scratch("not");
        let template = dir.join("t.hbs");
        let template = template.to_str().unwrap();
        fs::write(template, "{{lsit}}\n").unwrap();
        for (args, code, told) in [
            (
                &["--data", r#"{"list": 1}"#][..],
                1,
                "hint: did you mean `list`?",
            ),
            (
                &["--check", "--data", r#"{"list": 1}"#],
                1,
                "there is no `lsit`",
            ),
            (&["--data", "{"], 2, "the data are no JSON"),
            (&["--data", "[1]"], 2, "the data are no JSON object"),
            (&["--data", "@/nowhere"], 2, "cannot read /nowhere"),
        ] {
            let said = pidone(&[&[template], args].concat());
            let text = String::from_utf8(said.stderr).unwrap();
            assert!(text.contains(told), "{args:?}: {text}");
            assert_eq!(said.status.code(), Some(code), "{args:?}");
        }
        assert_eq!(pidone(&["/nowhere", "--data", "{}"]).status.code(), Some(1));
        // Without data it asks the agent, and there is none.
        assert_eq!(pidone(&[template]).status.code(), Some(2));
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        let _ = fs::remove_dir_all(dir);
    }
}
