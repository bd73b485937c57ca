//! How long a function and a file may be.

use super::{Complaint, source::Source};

const FUNCTION: usize = 70;
/// Where each function is a story, which is to be seen at a glance.
const STORIES: &str = "examples/payments/tests/stories.rs";
const STORY: usize = 19;
const FILE: usize = 800;

pub(crate) fn check(source: &Source) -> Vec<Complaint> {
    let complain = |line, what| Complaint { path: source.path.clone(), line, rule: "length", what };
    let most = if source.path == STORIES { STORY } else { FUNCTION };
    let functions = source.functions();
    let mut complaints: Vec<_> = functions
        .iter()
        .map(|function| (&source.tokens[function.start + 1].text, function))
        .map(|(name, function)| (name, source.tokens[function.start].line, source.tokens[function.end].line))
        .filter(|(_, start, end)| end - start + 1 > most)
        .map(|(name, start, end)| {
            complain(start, format!("fn {name} has {} lines, more than {most}", end - start + 1))
        })
        .collect();
    if source.lines > FILE {
        complaints.push(complain(FILE + 1, format!("the file has {} lines, more than {FILE}", source.lines)));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::complaints_about;

    fn function(signature: &str, lines: usize) -> String {
        format!("\n{signature}{{\n{}}}\n", "    \"}\"; '{'; // }\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_over_70_lines_fails() {
        for path in ["src/log/mod.rs", "tests/log.rs", "examples/log.rs", "benches/log.rs"] {
            let signature =
                "pub fn f<'a, const N: usize>(x: [u8; 4], g: fn(u8) -> u8) -> Array<{ N }>\nwhere X: Y, ";
            assert!(complaints_about(&[(path, &function(signature, 69))]).is_empty());
            assert_eq!(complaints_about(&[(path, &function(signature, 70))]), ["2: length"]);
        }
    }

    #[test]
    fn a_story_has_less_than_20_lines() {
        let story = |lines| function("#[test]\nfn a_disk_fills() ", lines);
        let path = "examples/payments/tests/stories.rs";
        assert!(complaints_about(&[(path, &story(19))]).is_empty());
        assert_eq!(complaints_about(&[(path, &story(20))]), ["3: length"]);
        assert!(complaints_about(&[("examples/payments/src/lib.rs", &story(20))]).is_empty());
    }

    #[test]
    fn a_function_in_a_trait_an_impl_or_a_function_counts_by_itself() {
        let text = format!("trait T {{ fn g(&self) -> [u8; 2]; {} }}", function("fn f() ", 70).repeat(2));
        assert!(complaints_about(&[("src/log/mod.rs", &text)]).is_empty());
        let text = format!("fn g() {{ {} }}", function("fn f() ", 70));
        assert_eq!(complaints_about(&[("src/log/mod.rs", &text)]), ["1: length"]);
        let text = format!("#[cfg(test)] mod tests {{ {} }}", function("async fn f() ", 71));
        assert_eq!(complaints_about(&[("src/log/mod.rs", &text)]), ["2: length"]);
    }

    #[test]
    fn a_file_over_800_lines_fails() {
        for path in ["src/log/mod.rs", "tests/log.rs", "examples/log.rs", "benches/log.rs"] {
            assert!(complaints_about(&[(path, &"// x\n".repeat(800))]).is_empty());
            assert_eq!(complaints_about(&[(path, &"// x\n".repeat(801))]), ["801: length"]);
        }
    }
}
