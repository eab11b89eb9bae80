//! Releases by their names, in a bucket that is a list.

use std::cell::RefCell;

use bytes::Bytes;

use super::*;
use crate::build::Package;
use crate::cloud::StoredObject;

mod marks;

/// A bucket whose objects get older with each that is put.
#[derive(Default)]
struct Bucket(RefCell<Vec<(String, Bytes, i64)>>);

impl Buckets for Bucket {
    async fn objects(&self, _: &str, _: &str) -> Result<Vec<StoredObject>, CloudError> {
        Ok(Vec::new())
    }

    async fn put(&self, _: &str, object: NewObject) -> Result<(), CloudError> {
        let mut objects = self.0.borrow_mut();
        let newest = objects.iter().map(|it| it.2).max().unwrap_or_default();
        objects.retain(|it| it.0 != object.key);
        objects.push((object.key, object.body, newest + 1));
        Ok(())
    }

    async fn remove(&self, _: &str, keys: &[String]) -> Result<(), CloudError> {
        self.0.borrow_mut().retain(|it| !keys.contains(&it.0));
        Ok(())
    }

    async fn empty(&self, _: &str) -> Result<usize, CloudError> {
        Ok(self.0.take().len())
    }
}

impl Packages for Bucket {
    async fn packages(&self, _: &str, prefix: &str) -> Result<Vec<StoredPackage>, CloudError> {
        let objects = self.0.borrow();
        let found = objects.iter().filter(|it| it.0.starts_with(prefix));
        Ok(found
            .map(|(key, _, written_ms)| StoredPackage {
                key: key.clone(),
                written_ms: *written_ms,
            })
            .collect())
    }

    async fn refresh(&self, _: &str, _: &str) -> Result<(), CloudError> {
        Ok(())
    }

    async fn read(&self, _: &str, key: &str) -> Result<Bytes, CloudError> {
        let objects = self.0.borrow();
        let found = objects.iter().find(|it| it.0 == key);
        let missing = || CloudError::of_answer("s3:GetObject", "NoSuchKey", "not there");
        found.map(|it| it.1.clone()).ok_or_else(missing)
    }
}

fn stage() -> StageName {
    "dev".parse().unwrap()
}

fn release(count: usize) -> (Release, Page) {
    let package = Package::new(format!("program {count}").as_bytes()).unwrap();
    let page = Page::embedded();
    (Release::new(&package.sha256, &page, "x86_64"), page)
}

#[tokio::test]
async fn the_last_five_are_kept_and_one_that_is_run_again_is_the_newest() {
    let bucket = Bucket::default();
    for count in 1..=7 {
        let (release, page) = release(count);
        record(&bucket, "b", &stage(), &release, &page)
            .await
            .unwrap();
    }
    let counts = async || {
        let listed = look(&bucket, "b", &stage()).await.unwrap().releases;
        let is = |it: &Release, count: &usize| it.is_same(&release(*count).0);
        let counts = listed
            .iter()
            .map(|it| (1..=9).find(|count| is(it, count)).unwrap());
        counts.collect::<Vec<_>>()
    };
    assert_eq!(counts().await, [7, 6, 5, 4, 3]);
    let (again, page) = release(4);
    record(&bucket, "b", &stage(), &again, &page).await.unwrap();
    assert_eq!(counts().await, [4, 7, 6, 5, 3]);
    let other: StageName = "dev-2".parse().unwrap();
    let of_other = look(&bucket, "b", &other).await.unwrap();
    assert_eq!(of_other.releases, []);
    let none = Bucket::default();
    let strange = |key: &str| NewObject {
        key: key.to_owned(),
        body: Bytes::new(),
        content_type: String::new(),
        cache_control: None,
    };
    for key in [
        "releases/dev/",
        "releases/dev/a.b.x86_64.zip",
        "releases/dev/notes.txt",
    ] {
        none.put("b", strange(key)).await.unwrap();
    }
    let of_none = look(&none, "b", &stage()).await.unwrap();
    assert_eq!(of_none.releases, [], "not ours");
}

#[tokio::test]
async fn a_template_that_a_killed_run_has_left_goes_an_hour_later_and_nothing_else_does() {
    const HOUR_MS: i64 = 3_600_000;
    let bucket = Bucket::default();
    let left = |name: &str, written_ms| (name.to_owned(), Bytes::new(), written_ms);
    bucket.0.borrow_mut().extend([
        left("releases/dev/.template-chatctl-old", 1),
        left("releases/dev/.template-chatctl-new", 1000),
        left("releases/dev/notes.template-txt", 1),
        left("releases/prod/.template-chatctl-old", 1),
        // What is written next is of a moment later.
        left("releases/dev/other", HOUR_MS + 1),
    ]);
    let (release, page) = release(1);
    record(&bucket, "b", &stage(), &release, &page)
        .await
        .unwrap();
    let mut keys: Vec<_> = bucket.0.take().into_iter().map(|it| it.0).collect();
    keys.sort();
    let kept = [
        "releases/dev/.template-chatctl-new".to_owned(),
        release.key(&stage()),
        "releases/dev/notes.template-txt".to_owned(),
        "releases/dev/other".to_owned(),
        "releases/prod/.template-chatctl-old".to_owned(),
    ];
    assert_eq!(keys, kept);
    let aside = aside("b", &stage());
    assert_eq!(aside.prefix, "releases/dev/.template-");
}

#[tokio::test]
async fn a_page_comes_back_as_it_was_or_is_told_to_be_damaged() {
    let bucket = Bucket::default();
    let (kept, whole) = release(1);
    record(&bucket, "b", &stage(), &kept, &whole).await.unwrap();
    let back = page(&bucket, "b", &stage(), &kept).await.unwrap();
    assert_eq!(back.digest(), whole.digest());

    let other = Page::embedded().with_config("x".to_owned());
    let mut bytes = other.to_zip().unwrap().to_vec();
    let last = bytes.len() - 10;
    bytes.truncate(last);
    for damaged in [bytes, Vec::new()] {
        bucket.0.borrow_mut()[0].1 = damaged.into();
        let error = page(&bucket, "b", &stage(), &kept).await.unwrap_err();
        assert!(error.to_string().ends_with("is damaged"), "{error}");
        assert!(error.hint().unwrap().contains("rollback --list"));
    }
    bucket.0.borrow_mut().clear();
    assert!(page(&bucket, "b", &stage(), &kept).await.is_err());
}

#[test]
fn a_release_names_its_package_as_functions_are_given_it() {
    let package = Package::new(b"program").unwrap();
    let release = Release::new(&package.sha256, &Page::embedded(), "arm64");
    let code = release.code(&stage(), "bucket".to_owned());
    assert_eq!(code.sha256, package.code_sha256);
    assert_eq!(code.key, packages::key(&stage(), &package));
    assert_eq!(
        (code.bucket.as_str(), code.architecture),
        ("bucket", "arm64")
    );
}

fn kept<const COUNT: usize>(releases: [Release; COUNT]) -> Kept {
    Kept {
        releases: releases.into(),
        mark: Some(Mark::default()),
    }
}

fn named(package: &str, written_ms: i64) -> Release {
    Release {
        package: format!("{package:0<64}"),
        page: "f".repeat(64),
        architecture: "x86_64",
        written_ms,
    }
}

#[test]
fn the_one_before_is_the_last_one_that_does_not_run() {
    let all = kept([named("aaaa", 3), named("aabb", 2), named("cc", 1)]);
    let chosen = |runs: [bool; 3], which: &Which| {
        let chosen = choose("chat-dev", &all, &runs, which);
        chosen.map(|it| it.written_ms).map_err(|it| it.to_string())
    };
    let previous = Which::Previous;
    // After a good deploy, after a bad one, after a rollback.
    assert_eq!(chosen([true, false, false], &previous), Ok(2));
    assert_eq!(chosen([false, false, false], &previous), Ok(3));
    assert_eq!(chosen([false, true, false], &previous), Ok(3));
    let none = "nothing is kept of `chat-dev` but what it runs already".to_owned();
    assert_eq!(chosen([true; 3], &previous), Err(none));
    let empty = choose("chat-dev", &kept([]), &[], &previous).unwrap_err();
    assert_eq!(
        empty.to_string(),
        "nothing is kept of `chat-dev` that was found to work"
    );

    let by = |text: &str| chosen([false; 3], &which(text).unwrap());
    assert_eq!(by("1"), Ok(3));
    assert_eq!(by("3"), Ok(1));
    assert_eq!(by("AABB"), Ok(2));
    assert_eq!(by("cc0000000000-ffff"), Ok(1));
    let many = kept([named("aaaa1", 3), named("aaaa2", 2)]);
    let twice = choose(
        "chat-dev",
        &many,
        &[false; 2],
        &Which::Name("aaaa".to_owned()),
    );
    assert_eq!(
        twice.unwrap_err().to_string(),
        "`aaaa` is the beginning of `aaaa10000000-ffffffffffff`, `aaaa20000000-ffffffffffff`"
    );
    for missing in ["4", "dddd"] {
        let error = by(missing).unwrap_err();
        assert!(
            error.starts_with(&format!(
                "there is no release `{missing}` of `chat-dev`, but `aaaa"
            )),
            "{error}"
        );
    }
    for bad in ["", "0", "-1", "abc", "last", "ab cd"] {
        assert!(which(bad).is_err(), "{bad}");
    }
}
