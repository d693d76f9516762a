//! Exposition, traces and lines broken on purpose, each in a way that people reported in public: the account must notice.
//!
//! The servers and what they have are real; a proxy before the tool changes one kind of answer.

use super::proxy::{Proxy, Upstream};
use super::rig::{Rig, account};
use super::table::TABLE;

#[test]
fn each_name_of_a_mutation_is_given_once() {
    let mut names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
    assert!(names.len() >= 25, "{} mutations", names.len());
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: run it with --ignored"]
async fn each_mutation_of_exposition_traces_and_lines_is_found() {
    let Some(mut rig) = Rig::start().await else {
        return;
    };
    rig.load().await;
    let settled = rig.account(&["--settle", "60s"]).await;
    assert_eq!(settled.code, 0, "{}", settled.said);
    let proxy = Proxy::start(Upstream {
        metrics: rig.admin().to_owned(),
        jaeger: rig.jaeger.query.clone(),
        elasticsearch: rig.elasticsearch.url.clone(),
    })
    .await;
    let mut arguments = rig.files();
    for (option, path) in [
        ("--metrics", "/metrics"),
        ("--jaeger", "/jaeger"),
        ("--elasticsearch", "/es"),
    ] {
        arguments.extend([option.to_owned(), format!("{}{path}", proxy.url)]);
    }
    arguments.extend(["--settle", "1ms"].map(str::to_owned));
    let control = account(arguments.clone()).await;
    assert_eq!(control.code, 0, "unchanged: {}", control.said);

    let mut survivors = Vec::new();
    for row in TABLE.iter() {
        proxy.change(Some(row.change));
        let account = account(arguments.clone()).await;
        let found = account.codes();
        let caught = account.code == 1 && row.found_as.iter().any(|code| found.contains(code));
        println!(
            "{}  {}  ({})  {}",
            if caught { "caught  " } else { "SURVIVED" },
            row.name,
            row.reported,
            found.join(" ")
        );
        if !caught {
            survivors.push(format!("{}: {}", row.name, account.said));
        }
    }
    println!(
        "{} of {} caught",
        TABLE.len() - survivors.len(),
        TABLE.len()
    );
    assert!(survivors.is_empty(), "{}", survivors.join("\n"));
}
