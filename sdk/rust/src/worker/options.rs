//! What stands on the worker's command line; the host writes it from the node's manifest.

/// `--name`, `--version`, `--concurrency` and `--reads`, each with its value behind it or behind `=`.
#[derive(Debug)]
pub(crate) struct Options {
    pub name: String,
    pub version: String,
    pub concurrency: usize,
    pub reads: Vec<String>,
}

const USAGE: &str = "there are --name NAME, --version VERSION, --concurrency N and --reads A,B";

impl Options {
    pub fn read(words: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut found =
            Options { name: String::new(), version: "0.0.0".into(), concurrency: 1, reads: Vec::new() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), words.next()),
            };
            let needed = || value.clone().ok_or_else(|| format!("{name} needs a value; {USAGE}"));
            match name.as_str() {
                "--name" => found.name = needed()?,
                "--version" => found.version = needed()?,
                "--reads" => {
                    found.reads =
                        needed()?.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
                }
                "--concurrency" => {
                    let given = needed()?;
                    found.concurrency = given
                        .parse()
                        .ok()
                        .filter(|&number| number > 0)
                        .ok_or_else(|| format!("--concurrency is a number from 1 on, not '{given}'"))?;
                }
                _ => return Err(format!("'{word}' is no option; {USAGE}")),
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_stand_before_their_values_or_with_them() {
        let options = read("--name geo --concurrency=4 --reads vars.a,,request.body").expect("right");
        assert_eq!((options.name.as_str(), options.concurrency), ("geo", 4));
        assert_eq!(options.reads, ["vars.a", "request.body"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, said) in
            [("--concurrency 0", "from 1 on"), ("--nmae x", "is no option"), ("--name", "needs")]
        {
            assert!(read(line).expect_err(line).contains(said));
        }
    }
}
