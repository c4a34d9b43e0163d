//! Words that run a block and look at its end: `if`, `ifelse`, `foreground`.

use crate::os::reaper::wait_one;
use crate::tools::s6::call::{Bytes, Call, Done, Environment, Outcome, Stop, USAGE, Why, number};
use crate::tools::s6::{not_spawned, spawn, tell, unable_to};
use crate::values::Exit;

use super::block::command;

/// Runs a block to its end. An empty one has ended well.
///
/// # Errors
/// Why it does not run.
fn run(block: Vec<Bytes>, env: &Environment) -> Result<Exit, Why> {
    if block.is_empty() {
        return Ok(Exit::Code(0));
    }
    let pid = spawn(command(block, env), env.get(b"PATH"), || Ok(()))?;
    Ok(wait_one(pid)?)
}

fn run_or_stop(block: Vec<Bytes>, env: &Environment) -> Result<Exit, Stop> {
    let program = block.first().cloned();
    run(block, env).map_err(|why| not_spawned(program.as_ref(), why))
}

/// A death by a signal ends the script too, but with `-X`, where it is as an exit code not 0.
fn judged(exit: Exit, crash_is_normal: bool) -> Result<u8, Stop> {
    match exit {
        Exit::Signal(signal) | Exit::Core(signal) if !crash_is_normal => Err(Stop::fatal(
            exit.code(),
            format!("child crashed with signal {}", signal.raw()),
        )),
        _ => Ok(exit.code()),
    }
}

/// `if [-n] [-X] [-t | -x CODE] { PROG… } PROG…`: goes on if the block succeeds (`-n`: if not),
/// else ends with the block's code, or the one that was told.
pub(crate) fn if_(mut call: Call) -> Outcome {
    let usage = || Stop::usage("if [ -n ] [ -X ] [ -t | -x exitcode ] { command... }");
    let (mut negated, mut crash_is_normal, mut code) = (false, false, None);
    for (option, value) in call.options("nXtx:").map_err(|_| usage())? {
        match option {
            'n' => negated = true,
            'X' => crash_is_normal = true,
            't' => code = Some(0),
            _ => code = Some(number::<u32>(&value).ok_or_else(usage)?),
        }
    }
    let code = code.map(u8::try_from).transpose();
    let code = code.map_err(|_| Stop::fatal(USAGE, "invalid exit code"))?;
    let block = call.needed_block("if")?;
    let ended = judged(run_or_stop(block, &call.env)?, crash_is_normal)?;
    if (ended == 0) != negated {
        return Ok(call.go_on());
    }
    Ok(Done::Exit(code.unwrap_or(if negated { 1 } else { ended })))
}

/// `ifelse [-n] [-X] { PROG… } { PROG… } PROG…`: goes on with the second block, or with the rest.
pub(crate) fn ifelse(mut call: Call) -> Outcome {
    let usage = "ifelse [ -n ] [ -X ] { command-if } { command-then... } command-else...";
    let options = call.options("nX").map_err(|_| Stop::usage(usage))?;
    let has = |letter| options.iter().any(|(option, _)| *option == letter);
    let unterminated = |which| Stop::fatal(USAGE, format!("unterminated {which} block"));
    let condition = call.block("ifelse")?.ok_or_else(|| unterminated("if"))?;
    if call.args.is_empty() {
        return Err(Stop::fatal(USAGE, "then block required"));
    }
    let then = call.block("ifelse")?.ok_or_else(|| unterminated("then"))?;
    let ended = judged(run_or_stop(condition, &call.env)?, has('X'))?;
    if (ended == 0) != has('n') {
        call.args = then;
    }
    Ok(call.go_on())
}

/// `foreground { PROG… } PROG…`: runs the block, then goes on whatever came of it; `?` is its code,
/// 256 + n if signal n ended it.
pub(crate) fn foreground(mut call: Call) -> Outcome {
    let block = call.needed_block("foreground")?;
    let program = block.first().cloned().unwrap_or_default();
    let code = match run(block, &call.env) {
        Ok(Exit::Code(code)) => i32::from(code),
        Ok(Exit::Signal(signal) | Exit::Core(signal)) => 256 + signal.raw(),
        Err(why) => {
            let text = format!("warning: {}", unable_to("spawn", &program, why));
            tell(b"foreground", &text);
            127
        }
    };
    call.env.set(b"?", code.to_string());
    Ok(call.go_on())
}
