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
