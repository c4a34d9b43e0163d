//! What docs/agent.md shows is read, and rendered.

use std::path::Path;

use pidone::agent::config::read;
use pidone::template::data::Data;
use pidone::template::engine::Template;

/// The blocks of this kind.
fn blocks(kind: &str) -> Vec<String> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agent.md");
    let text = std::fs::read_to_string(guide).unwrap();
    let fence = format!("```{kind}\n");
    let blocks = text.split(&fence).skip(1);
    let blocks = blocks.map(|rest| rest.split_once("```").unwrap().0.to_owned());
    blocks.collect()
}

#[test]
fn the_guides_configuration_is_read() {
    let all = blocks("toml");
    let environment = [("HOSTNAME".into(), "s1".into())].into_iter().collect();
    let (config, faults) = read(&all[1], Path::new("agent.toml"), &environment);
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!((config.templates.len(), config.seeds.len()), (1, 2));
}

#[test]
fn the_guides_template_is_rendered() {
    let template = Template::parse(Path::new("h.hbs"), blocks("hbs")[0].clone()).unwrap();
    let data = r#"{"backends": [
        {"host": "s2", "address": "[fd00::1]:80", "tags": {"weight": "5", "zone": "b"}},
        {"host": "s1", "address": "10.0.0.1:80", "tags": {}}]}"#;
    assert_eq!(
        template.render(&Data::parse(data).unwrap()).unwrap(),
        "backend nodes\n    server s1 10.0.0.1:80 check # -\n    \
         server s2 [fd00::1]:80 check weight 5 # b\n"
    );
}
