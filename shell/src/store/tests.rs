use super::lock::LOCK_PATIENCE;
use super::*;
use bootstrapd_core::machine::Machine;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

/// A directory of a test's own, removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bootstrapd-store-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn pair(&self) -> Pair {
        Pair::node(&self.0)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Records of one node, each newer than the one before.
fn records<const N: usize>() -> [Vec<u8>; N] {
    let mut machine = Box::<Machine>::default();
    [(); N].map(|()| {
        let mut buffer = vec![0; NODE_RECORD_BYTES_MAX];
        let length = machine.encode(&mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    })
}

fn loaded(pair: &Pair) -> Option<(Vec<u8>, bool)> {
    match pair.load::<NodeRecord>() {
        Found::Record { bytes, in_step, .. } => Some((bytes, in_step)),
        Found::Nothing => None,
        Found::Unreadable { file, why } => panic!("{} {why}", file.display()),
    }
}

#[test]
fn what_is_saved_is_found_twice_for_its_owner_only() {
    let scratch = Scratch::new("saved");
    let pair = scratch.pair();
    assert!(loaded(&pair).is_none());
    for record in records::<3>() {
        pair.save(&record).unwrap();
        assert_eq!(loaded(&pair), Some((record.clone(), true)));
        for file in pair.files() {
            assert_eq!(fs::read(&file).unwrap(), record);
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn the_newer_whole_copy_counts_whichever_it_is() {
    let scratch = Scratch::new("newer");
    let pair = scratch.pair();
    let [old, new] = records::<2>();
    for (one, two, best) in [(&old, &new, &new), (&new, &old, &new), (&new[..9].to_vec(), &old, &old)] {
        for (file, record) in pair.files().iter().zip([one, two]) {
            fs::write(file, record).unwrap();
        }
        assert_eq!(loaded(&pair), Some((best.clone(), false)));
    }
    let [first, second] = pair.files();
    fs::remove_file(first).unwrap();
    assert_eq!(loaded(&pair), Some((old.clone(), false)));
    fs::write(second, b"").unwrap();
    assert!(matches!(pair.load::<NodeRecord>(), Found::Unreadable { .. }));
}

#[test]
fn a_link_or_a_directory_is_no_record() {
    let scratch = Scratch::new("link");
    let pair = scratch.pair();
    let [record] = records::<1>();
    let elsewhere = scratch.0.join("elsewhere");
    fs::write(&elsewhere, record).unwrap();
    let [first, second] = pair.files();
    std::os::unix::fs::symlink(&elsewhere, first).unwrap();
    fs::create_dir(second).unwrap();
    assert!(matches!(pair.load::<NodeRecord>(), Found::Unreadable { .. }));
}

#[test]
fn a_save_that_fails_leaves_the_old_record_in_both_copies() {
    let scratch = Scratch::new("fails");
    let pair = scratch.pair();
    let [old, new] = records::<2>();
    pair.save(&old).unwrap();
    // Neither a new copy nor the second rename works where a directory is in the way.
    let [_, second_new] = pair.new_files();
    fs::create_dir_all(second_new.join("x")).unwrap();
    assert!(pair.save(&new).is_err());
    assert_eq!(loaded(&pair), Some((old.clone(), true)));
    fs::remove_dir_all(&second_new).unwrap();

    let [first, second] = pair.files();
    fs::remove_file(&second).unwrap();
    fs::create_dir_all(second.join("x")).unwrap();
    let error = pair.save(&new).unwrap_err().to_string();
    assert!(error.contains(second.to_str().unwrap()), "{error}");
    assert_eq!(fs::read(&first).unwrap(), old);
    fs::remove_dir_all(&second).unwrap();
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing else is left");

    // A first save that fails leaves nothing.
    fs::remove_file(&first).unwrap();
    fs::create_dir_all(second.join("x")).unwrap();
    assert!(pair.save(&new).is_err());
    assert!(!first.exists());
}

#[test]
fn a_discarded_clusters_record_leaves_no_trace() {
    let scratch = Scratch::new("discard");
    let pair = Pair::cluster(&scratch.0);
    pair.save(b"anything").unwrap();
    assert_eq!(fs::read_dir(scratch.0.join("ccs")).unwrap().count(), 2);
    pair.discard().unwrap();
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
    // A directory with something else in it stays.
    pair.save(b"anything").unwrap();
    fs::write(scratch.0.join("ccs/other"), "").unwrap();
    pair.discard().unwrap();
    assert_eq!(fs::read_dir(scratch.0.join("ccs")).unwrap().count(), 1);
}

#[test]
fn one_agent_at_a_time() {
    let scratch = Scratch::new("lock");
    let held = lock(&scratch.0).unwrap();
    assert!(lock(&scratch.0).unwrap_err().is_none());
    drop(held);
    lock(&scratch.0).unwrap();
}

#[test]
fn an_agent_that_is_ending_is_waited_for() {
    let scratch = Scratch::new("ending");
    let held = lock(&scratch.0).unwrap();
    let ending = thread::spawn(move || {
        thread::sleep(LOCK_PATIENCE / 4);
        drop(held);
    });
    lock(&scratch.0).unwrap();
    ending.join().unwrap();
}
