/// Keeps the rows: the port between the tables in memory and something that survives.
///
/// | driver            | keeps them in                                 |
/// |-------------------|-----------------------------------------------|
/// | `SQLiteJournal`   | one SQLite file, WAL, `synchronous=FULL`      |
/// | `InMemoryJournal` | an object that outlives a simulated restart   |
public protocol Journal: Sendable {
  /// Every row as the last commit left it.
  func load() async throws -> [Row]

  /// When it returns, all the changes are durable, in their order; when it throws, none is.
  ///
  /// A `StorageError` says that the store is sound and these changes could not be taken (a full disk). Any other error
  /// means that nothing is known any more: the process ends, and finds out by loading.
  func commit(_ changes: [Change]) async throws
}
