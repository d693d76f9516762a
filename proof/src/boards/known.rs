//! Everything that is known before any query is asked: the files that the command line names.

use super::declared::Declared;
use super::expectations::Expectations;
use super::folder::{self, Folder};
use super::rule_files::Rules;
use super::settings::Arguments;
use super::truth::Truth;
use crate::exit::Refusal;

/// What is known before any query is asked.
#[derive(Debug)]
pub struct Known {
    /// The boards.
    pub folder: Folder,
    /// What is accepted.
    pub expectations: Expectations,
    /// What programs declare.
    pub declared: Declared,
    /// What rules use and record.
    pub rules: Rules,
    /// What a load counted.
    pub truth: Option<Truth>,
}

impl Known {
    /// Reads every file that the command line names.
    pub fn read(arguments: &Arguments) -> Result<Self, Refusal> {
        let expectations = match &arguments.expectations {
            Some(file) => Expectations::read(file)?,
            None => Expectations::default(),
        };
        let rules = match &arguments.rules {
            Some(folder) => Rules::read(folder)?,
            None => Rules::default(),
        };
        Ok(Self {
            folder: folder::read(&arguments.path)?,
            expectations,
            declared: Declared::read(&arguments.declared)?,
            rules,
            truth: arguments.truth.as_deref().map(Truth::read).transpose()?,
        })
    }
}
