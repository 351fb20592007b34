import Synchronization

/// A journal without a disk: for tests, and for a fleet on a laptop that need not survive.
///
/// The object outlives a simulated crash of the coordinator; `fault` is awaited before and after a commit takes hold.
public final class InMemoryJournal: Journal {
  private let rows = Mutex<[Row.Key: Row]>([:])
  private let fault: @Sendable (String) async throws -> Void

  public init(fault: @escaping @Sendable (String) async throws -> Void = { _ in }) {
    self.fault = fault
  }

  public func load() async throws -> [Row] {
    rows.withLock { Array($0.values) }
  }

  public func commit(_ changes: [Change]) async throws {
    try await fault("journal: before the commit")
    rows.withLock { rows in
      for change in changes {
        switch change {
        case .put(let row): rows[row.key] = row
        case .remove(let key): rows[key] = nil
        }
      }
    }
    try await fault("journal: after the commit")
  }
}
