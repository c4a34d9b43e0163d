//! A line of s6-overlay's `fix-attrs.d` → commands for the shell.

use crate::service::import::native::shell_text;

/// `PATH RECURSE ACCOUNT FILE-MODE DIRECTORY-MODE`; an empty line or a comment is nothing.
///
/// # Errors
/// It has not these five words: a sentence for the user.
pub(super) fn line(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(String::new());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [path, recurse, account, file, dir] = words.as_slice() else {
        return Err("it must be `PATH RECURSE ACCOUNT FILE-MODE DIRECTORY-MODE`".into());
    };
    let is_mode = |text: &str| text.len() <= 4 && text.chars().all(|c| matches!(c, '0'..='7'));
    if !is_mode(file) || !is_mode(dir) {
        return Err(format!("`{file}` and `{dir}` must be modes such as 0644"));
    }
    // A second account, of numbers, was for images without the first one.
    let account = account.split(',').next().unwrap_or(account);
    let (path, account) = (shell_text(path), shell_text(account));
    let depth = match *recurse {
        "true" => "",
        "false" => " -maxdepth 0",
        other => return Err(format!("`{other}` must be true or false")),
    };
    Ok(format!(
        "find {path}{depth} -exec chown -h {account} {{}} +\n\
         find {path}{depth} -type d -exec chmod {dir} {{}} +\n\
         find {path}{depth} -type f -exec chmod {file} {{}} +\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_three_commands() {
        let told = line("/var/lib/my app").unwrap_err();
        assert!(told.starts_with("it must be `PATH"), "{told}");
        assert_eq!(line(" # x"), Ok(String::new()));
        assert_eq!(
            line("/srv/a;b true app,1000:1000 0640 0750").unwrap(),
            "find '/srv/a;b' -exec chown -h app {} +\n\
             find '/srv/a;b' -type d -exec chmod 0750 {} +\n\
             find '/srv/a;b' -type f -exec chmod 0640 {} +\n"
        );
        assert!(line("/a maybe app 0640 0750").is_err());
        assert!(line("/a true app 9 0750").is_err());
    }
}
