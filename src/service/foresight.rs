//! Texts that a start expands, judged as far as the container's environment tells before it.

use toml::de::DeValue;

use crate::diag::Diagnostic;
use crate::service::definition::Service;
use crate::service::environment;
use crate::service::expand::{Fault, give_default};
use crate::service::faults::Faults;
use crate::service::parse::World;
use crate::service::table::{Item, Table};

/// Whether the user is known, as far as the variables in it are set.
pub(super) fn user(top: &Table<'_>, service: &Service, world: &World<'_>, faults: &mut Faults<'_>) {
    let (Some(item), Some(text)) = (top.get("user"), &service.context.user) else {
        return;
    };
    // What stands in a file may still decide it.
    if !service.context.env_files.is_empty() && text.contains('$') {
        return;
    }
    let Ok(environment) = environment::foreseen(world.container, &service.context) else {
        return;
    };
    let fault = match environment.expand_text(text) {
        Ok(user) => match (world.user_known)(&user) {
            Ok(()) => return,
            Err(why) => Diagnostic::error(why),
        },
        // Told of with the other texts.
        Err(Fault::Secret(_) | Fault::Unset(_)) => return,
        Err(why) => Diagnostic::warning(format!("cannot expand {}: {why}", item.subject)),
    };
    item.bad::<()>(faults, fault);
}

/// Secrets stand in no text that screens and messages show. A variable that is not set is a warning
/// only: it may be set where the container runs, and not where its image is built.
pub(super) fn texts(
    top: &Table<'_>,
    service: &Service,
    world: &World<'_>,
    faults: &mut Faults<'_>,
) {
    let Ok(environment) = environment::foreseen(world.container, &service.context) else {
        return;
    };
    let probes = ["ready", "health"].into_iter().flat_map(|name| {
        let table = top.get(name).map(|item| item.value);
        let probes = table.and_then(DeValue::as_table).into_iter().flatten();
        // A command is nobody's to expand but its shell's.
        let probes = probes.filter(|(key, _)| key.get_ref() != "exec");
        probes.map(move |(key, value)| Item::new(format!("`{name}.{key}`"), "", value))
    });
    for item in ["user", "workdir"]
        .into_iter()
        .filter_map(|name| top.get(name))
        .chain(probes)
    {
        let text = item.value.as_str().unwrap_or_default();
        let told = |fault: &Fault| format!("cannot expand {}: {fault}", item.subject);
        match environment.expand(text) {
            Err(fault @ Fault::Secret(_)) => {
                item.bad::<()>(faults, Diagnostic::error(told(&fault)));
            }
            Err(ref fault @ Fault::Unset(ref name)) if service.context.env_files.is_empty() => {
                let hint = give_default(name);
                item.bad::<()>(faults, Diagnostic::warning(told(fault)).hint(hint));
            }
            // What cannot be taken apart has been told of with its field.
            Ok(_) | Err(_) => {}
        }
    }
}
