use proptest::prelude::*;

use super::*;

fn is_dns_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=LABEL_MAX).contains(&name.len())
        && name.chars().all(|c| inner(c) || c == '-')
        && name.starts_with(inner)
        && name.ends_with(inner)
}

#[test]
fn a_run_id_that_fits_is_the_name() {
    let run: RunId = "flights-2013-01-31-g1".parse().unwrap();
    assert_eq!(job_name(&run), "flights-2013-01-31-g1");
}

#[test]
fn a_run_id_of_58_characters_is_kept_and_one_of_59_is_cut() {
    let fits: RunId = format!("{}-2013-01-31-g1", "a".repeat(44)).parse().unwrap();
    let long: RunId = format!("{}-2013-01-31-g1", "a".repeat(45)).parse().unwrap();
    assert_eq!(job_name(&fits), fits.to_string());
    assert_eq!(job_name(&long), format!("{}-201-1ff54c69", "a".repeat(45)));
}

proptest! {
    #[test]
    fn the_pods_of_a_job_have_host_names(
        name in "[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?",
        day in 1_u8..=28,
        generation in 1_u32..,
        index in 0_u32..10_000,
    ) {
        let run: RunId = format!("{name}-2013-02-{day:02}-g{generation}").parse().unwrap();
        let job = job_name(&run);
        let host = format!("{job}-{index}");
        prop_assert!(is_dns_label(&host), "{}", host);
        let label = label_value(&run.to_string());
        prop_assert!(is_dns_label(&label), "{}", label);
    }

    #[test]
    fn runs_have_names_of_their_own(generation in 1_u32.., other in 1_u32..) {
        let run = |n: u32| -> RunId {
            format!("{}-2013-02-01-g{n}", "a".repeat(45)).parse().unwrap()
        };
        prop_assert_eq!(job_name(&run(generation)) == job_name(&run(other)), generation == other);
    }
}
