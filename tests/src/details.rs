//! What an error tells of itself.

use serde_json::Value;

/// The pointers of all problems in `error_details`, in their order. Its message must be the first problem's.
pub fn pointers(details: &Value) -> Vec<&str> {
    let problems = details["problems"].as_array().unwrap_or_else(|| panic!("no problems: {details}"));
    assert_eq!(details["message"], problems[0]["message"], "{details}");
    problems.iter().map(|problem| problem["pointer"].as_str().unwrap()).collect()
}

/// The message of an accepted attempt that ended with `code`.
pub fn message<'a>(status: &'a Value, code: &str) -> &'a str {
    assert_eq!((&status["state"], &status["error_code"]), (&"error".into(), &code.into()), "{status}");
    let times = ["start_time", "end_time"].map(|name| status[name].as_str().unwrap_or_else(|| panic!("{status}")));
    assert!(times[0] <= times[1], "{status}");
    status["error_details"]["message"].as_str().unwrap_or_else(|| panic!("no message: {status}"))
}

/// The status of an attempt, or of its validation, without what differs between two of them.
pub fn without_times(status: &Value) -> Value {
    let mut status = status.clone();
    for name in ["start_time", "end_time"] {
        status.as_object_mut().unwrap().remove(name);
    }
    status
}

/// Whether a restart found the attempt completed; if not, it must have been cut short, and say so.
pub fn is_completed_or_cut_short(status: &Value) -> bool {
    if status["state"] == "completed" {
        return true;
    }
    let message = message(status, "internal_error");
    assert!(message.contains("restarted"), "{message}");
    false
}
