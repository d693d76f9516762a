//! One statement with its values, and the rows that it answers.

use jiff::Timestamp;

use super::{
    CatalogError,
    dialect::{Dialect, Value},
};

/// A statement and the values of its `$1`, `$2`, ...
pub(super) struct Query<D: Dialect> {
    sql: &'static str,
    arguments: Result<D::Arguments, CatalogError>,
}

impl<D: Dialect> Query<D> {
    pub(super) fn new(sql: &'static str) -> Self {
        Self {
            sql,
            arguments: Ok(D::Arguments::default()),
        }
    }

    /// The value of the next `$n`.
    pub(super) fn bind<T: Value>(mut self, value: T) -> Self {
        if let Ok(arguments) = &mut self.arguments
            && let Err(error) = D::bind(arguments, value)
        {
            self.arguments = Err(CatalogError::Refused {
                reason: error.to_string(),
            });
        }
        self
    }

    pub(super) async fn all(
        self,
        connection: &mut D::Connection,
    ) -> Result<Vec<Row<D>>, CatalogError> {
        let rows = D::fetch(connection, self.sql, self.arguments?).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    pub(super) async fn optional(
        self,
        connection: &mut D::Connection,
    ) -> Result<Option<Row<D>>, CatalogError> {
        Ok(self.all(connection).await?.into_iter().next())
    }

    /// The number of rows that the statement changed.
    pub(super) async fn execute(self, connection: &mut D::Connection) -> Result<u64, CatalogError> {
        Ok(D::execute(connection, self.sql, self.arguments?).await?)
    }
}

/// A row of the answer, read by column names.
pub(super) struct Row<D: Dialect>(D::Row);

impl<D: Dialect> Row<D> {
    pub(super) fn get<T: Value>(&self, column: &str) -> Result<T, CatalogError> {
        Ok(D::get(&self.0, column)?)
    }

    /// A number that is stored as `BIGINT` and is smaller here.
    pub(super) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, CatalogError> {
        let number: i64 = self.get(column)?;
        T::try_from(number)
            .map_err(|_| CatalogError::corrupt(format!("{number} in column {column}")))
    }

    /// A word of a closed set.
    pub(super) fn word<T>(&self, column: &str) -> Result<T, CatalogError>
    where
        T: std::str::FromStr,
        CatalogError: From<T::Err>,
    {
        Ok(self.get::<String>(column)?.parse()?)
    }

    /// A time, stored as microseconds since 1970.
    pub(super) fn time(&self, column: &str) -> Result<Timestamp, CatalogError> {
        Timestamp::from_microsecond(self.get(column)?)
            .map_err(|error| CatalogError::corrupt(format!("a time in column {column}: {error}")))
    }
}
