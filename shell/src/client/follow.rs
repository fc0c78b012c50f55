//! Waiting for the end of a bootstrap, and what that end is.

use std::time::{Duration, Instant};

use bootstrapd_core::status::State;

use super::live::{Live, News};
use super::{Asked, Ended, LAST_TRY, answer, status_document, unanswered};
use crate::exit;
use crate::line::Mismatch;

/// Between two polls: soon at first, then less often.
const POLL_FIRST: Duration = Duration::from_millis(50);
const POLL_MAX: Duration = Duration::from_secs(1);
/// As much of the status as an open resource tells.
const COMPLETED: &str = r#"{"bootstrap_status":{"state":"completed"}}"#;

/// Polls until the bootstrap has ended, and shows the way there on a terminal; `open` where the node was open to us, as
/// it is to whose attempt it has accepted.
pub(super) fn follow(asked: &Asked, mut open: bool) -> Result<(), Ended> {
    let mut live = Live::new();
    let mut pause = POLL_FIRST;
    loop {
        // The last try, which may be the first, has time for an answer.
        let last = match asked.ask(asked.left().max(LAST_TRY)) {
            Ok(answer) => match status_document(&answer) {
                Ok((document, state @ (State::Completed | State::Error))) => {
                    live.end();
                    return finish(asked, document, state);
                }
                Ok((_, state)) => {
                    open = true;
                    live.show(state.name());
                    (exit::TIMED_OUT, format!("timed out, the state is {}", state.name()))
                }
                Err((exit::DENIED, message)) => {
                    live.end();
                    // Without a login, all that can be seen of an attempt's success is that it closed the node.
                    if open && asked.login.is_none() && asked.is_ready() {
                        return finish(asked, COMPLETED, State::Completed);
                    }
                    return Err((exit::DENIED, message));
                }
                // It will not be another request next time.
                Err(ended) if answer.status == 400 => {
                    live.end();
                    return Err(ended);
                }
                Err((_, message)) => (exit::TIMED_OUT, format!("timed out: {message}")),
            },
            // Nor another certificate; but the clock may be set.
            Err(error) if Mismatch::of(&error).is_some_and(|mismatch| !mismatch.is_early()) => {
                live.end();
                return Err(unanswered(&error, &asked.server));
            }
            Err(error) => {
                live.show("no answer");
                unanswered(&error, &asked.server)
            }
        };
        // The status is what counts; the progress is how to pass the time until it may be another.
        let start = Instant::now();
        if live.follow(asked) == News::Some {
            pause = POLL_FIRST;
        }
        // Where the question was held, that was the pause.
        std::thread::sleep(pause.saturating_sub(start.elapsed()).min(asked.left()));
        // A last try that has no time left would only hide what the one before it found.
        if asked.left().is_zero() {
            live.end();
            return Err(last);
        }
        pause = pause.saturating_mul(2).min(POLL_MAX);
    }
}

fn finish(asked: &Asked, document: &str, state: State) -> Result<(), Ended> {
    if state == State::Completed {
        asked.print(document, answer::for_people);
        return Ok(());
    }
    asked.print(document, |_| String::new());
    Err((exit::FAILED, answer::failure(document)))
}
