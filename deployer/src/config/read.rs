//! A file's text as values with their places, checked against what may stand in it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::schema::{self, Flag, Kind, STAGE, STAGES, Schema, TAG, TAGS};
use crate::template::StageName;

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: String,
    line: usize,
    column: usize,
}

/// As editors and terminals know it.
impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A setting, as the command line would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// The flag's long name.
    pub(crate) key: String,
    /// Its values; more than one only where it can be given several times.
    pub(crate) values: Vec<String>,
    /// Where it stands.
    pub(crate) place: Place,
    /// Whether it is said for one stage alone.
    pub(crate) is_of_stage: bool,
}

/// What one table says: settings, and tags by their keys.
#[derive(Debug, Default)]
struct Level {
    settings: BTreeMap<String, Value>,
    tags: BTreeMap<String, (String, Place)>,
}

/// All that a file says.
#[derive(Debug)]
pub(super) struct Settings {
    of_all: Level,
    of_stages: BTreeMap<String, Level>,
}

impl Settings {
    /// Reads a file that people know as `file`. Paths in it are counted from `base`.
    ///
    /// # Errors
    /// [`ConfigError`], for what is wrong first, whichever stage it is for.
    pub(super) fn read(
        file: &str,
        base: &Path,
        text: &str,
        schema: &Schema,
    ) -> Result<Self, ConfigError> {
        let reader = Reader {
            file,
            base,
            text,
            schema,
        };
        let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
            place: reader.place(error.span().unwrap_or_default()),
            message: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        let of_all = reader.level(table.get_ref(), false)?;
        let mut of_stages = BTreeMap::new();
        for (key, value) in table.get_ref() {
            if key.get_ref() == STAGES {
                of_stages = reader.stages(value)?;
            }
        }
        Ok(Self { of_all, of_stages })
    }

    /// What holds for a stage: the one that was given by hand, or else the one that the file names.
    pub(super) fn of(self, by_hand: Option<&str>) -> Vec<Value> {
        let Self {
            of_all,
            mut of_stages,
        } = self;
        let Level {
            mut settings,
            mut tags,
        } = of_all;
        let by_file = settings.get(STAGE).and_then(|it| it.values.first());
        let stage = by_hand
            .map(str::to_owned)
            .or(by_file.cloned())
            .unwrap_or_else(|| StageName::DEFAULT.to_owned());
        if let Some(level) = of_stages.remove(&stage) {
            settings.extend(level.settings);
            tags.extend(level.tags);
        }
        let place = tags.values().next().map(|(_, place)| place.clone());
        let tags = tags.into_iter();
        let tags: Vec<_> = tags.map(|(key, (tag, _))| format!("{key}={tag}")).collect();
        let tags = place.map(|place| Value {
            key: TAG.to_owned(),
            values: tags,
            place,
            is_of_stage: false,
        });
        settings.into_values().chain(tags).collect()
    }
}

struct Reader<'a> {
    file: &'a str,
    base: &'a Path,
    text: &'a str,
    schema: &'a Schema,
}

impl Reader<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Place {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }

    /// The file's own table, or that of a stage.
    fn level(&self, table: &DeTable<'_>, is_of_stage: bool) -> Result<Level, ConfigError> {
        let mut level = Level::default();
        // In the order of the file: what is told is what is wrong first.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let (name, place) = (key.get_ref().as_ref(), self.place(key.span()));
            match name {
                STAGES if !is_of_stage => {}
                TAGS => level.tags = self.tags(value)?,
                STAGE if is_of_stage => return Err(ConfigError::StageInStage { place }),
                _ => {
                    let value = self.setting(name, place, value, is_of_stage)?;
                    level.settings.insert(name.to_owned(), value);
                }
            }
        }
        Ok(level)
    }

    fn stages(&self, value: &Spanned<DeValue<'_>>) -> Result<BTreeMap<String, Level>, ConfigError> {
        let mut stages = BTreeMap::new();
        let mut entries: Vec<_> = self.table(STAGES, value)?.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (name, value) in entries {
            let stage = name.get_ref().as_ref();
            if let Err(reason) = stage.parse::<StageName>() {
                return Err(ConfigError::StageName {
                    place: self.place(name.span()),
                    reason,
                });
            }
            let table = self.table(&format!("{STAGES}.{stage}"), value)?;
            stages.insert(stage.to_owned(), self.level(table, true)?);
        }
        Ok(stages)
    }

    fn tags(
        &self,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<BTreeMap<String, (String, Place)>, ConfigError> {
        let mut tags = BTreeMap::new();
        let mut entries: Vec<_> = self.table(TAGS, value)?.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = format!("{TAGS}.{}", key.get_ref());
            let DeValue::String(text) = value.get_ref() else {
                return Err(self.wrong_type(&name, value, Kind::Text.words().to_owned()));
            };
            let pair = format!("{}={text}", key.get_ref());
            for flag in self.schema.flags(TAG) {
                self.check(flag, &name, &pair, key.span())?;
            }
            let tag = (text.clone().into_owned(), self.place(key.span()));
            tags.insert(key.get_ref().clone().into_owned(), tag);
        }
        Ok(tags)
    }

    fn table<'a, 'b>(
        &self,
        name: &str,
        value: &'a Spanned<DeValue<'b>>,
    ) -> Result<&'a DeTable<'b>, ConfigError> {
        let table = value.get_ref().as_table();
        table.ok_or_else(|| self.wrong_type(name, value, format!("a table, `[{name}]`")))
    }

    fn setting(
        &self,
        name: &str,
        place: Place,
        value: &Spanned<DeValue<'_>>,
        is_of_stage: bool,
    ) -> Result<Value, ConfigError> {
        if let Some(reason) = schema::why_not(name) {
            let key = name.to_owned();
            return Err(ConfigError::NotInFile { place, key, reason });
        }
        let flags = self.schema.flags(name);
        let Some(first) = flags.first() else {
            return Err(ConfigError::UnknownKey {
                place,
                key: name.to_owned(),
                nearest: self.schema.nearest(name, is_of_stage),
            });
        };
        let several = value.get_ref().as_array().filter(|_| first.is_list());
        let items: Vec<_> = several.map_or_else(|| vec![value], |it| it.iter().collect());
        let mut values = Vec::new();
        for item in items {
            let text = self.text_of(name, item, first)?;
            // One key is the flag of several commands, and has to be right for each.
            for flag in flags {
                self.check(flag, name, &text, item.span())?;
            }
            values.push(text);
        }
        Ok(Value {
            key: name.to_owned(),
            values,
            place,
            is_of_stage,
        })
    }

    /// A value as it would stand on the command line.
    fn text_of(
        &self,
        name: &str,
        value: &Spanned<DeValue<'_>>,
        flag: &Flag,
    ) -> Result<String, ConfigError> {
        let kind = flag.kind();
        let text = match (kind, value.get_ref()) {
            (Kind::Switch, DeValue::Boolean(value)) => Some(value.to_string()),
            (Kind::Number, DeValue::Integer(value)) => {
                let number = i128::from_str_radix(value.as_str(), value.radix());
                number.ok().map(|it| it.to_string())
            }
            (Kind::Number, DeValue::Float(value)) => Some(value.as_str().to_owned()),
            (Kind::Text, DeValue::String(text)) => Some(text.clone().into_owned()),
            (Kind::Path, DeValue::String(text)) => {
                let path = self.base.join(text.as_ref());
                Some(path.to_string_lossy().into_owned())
            }
            _ => None,
        };
        text.ok_or_else(|| {
            let words = kind.words();
            let words = if flag.is_list() {
                format!("{words}, or a list of such")
            } else {
                words.to_owned()
            };
            self.wrong_type(name, value, words)
        })
    }

    fn wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>, wanted: String) -> ConfigError {
        ConfigError::WrongType {
            place: self.place(value.span()),
            key: name.to_owned(),
            found: found(value.get_ref()),
            wanted,
        }
    }

    fn check(
        &self,
        flag: &Flag,
        name: &str,
        text: &str,
        span: Range<usize>,
    ) -> Result<(), ConfigError> {
        flag.check(text).map_err(|refusal| ConfigError::WrongValue {
            place: self.place(span),
            key: name.to_owned(),
            value: text.to_owned(),
            refusal: Box::new(refusal),
        })
    }
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
