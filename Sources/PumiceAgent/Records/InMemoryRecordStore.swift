public import PumiceModel
import Synchronization

/// Records in memory: for simulations, tests and agents that keep nothing.
public final class InMemoryRecordStore<Element: Record>: RecordStore {
  /// Awaited with a name before each step that changes something, and after the last: `put`, `put.done`, `remove`,
  /// `remove.done`. To delay, to fail, to crash.
  public typealias Fault = @Sendable (_ step: String) async throws(StorageError) -> Void

  public let shelf: InMemoryRecordShelf<Element>
  private let fault: Fault?

  public init(on shelf: InMemoryRecordShelf<Element> = InMemoryRecordShelf(), fault: Fault? = nil) {
    self.shelf = shelf
    self.fault = fault
  }

  public var all: [Element] { shelf.records.withLock { $0.values.sorted { $0.subject < $1.subject } } }

  public func record(of subject: Identifier<Element.Kind>) -> Element? { shelf.records.withLock { $0[subject] } }

  public func put(_ record: Element) async throws(StorageError) {
    if let fault { try await fault("put") }
    shelf.records.withLock { $0[record.subject] = record }
    if let fault { try await fault("put.done") }
  }

  public func remove(_ subject: Identifier<Element.Kind>) async throws(StorageError) {
    if let fault { try await fault("remove") }
    shelf.records.withLock { $0[subject] = nil }
    if let fault { try await fault("remove.done") }
  }
}

/// Where `InMemoryRecordStore` keeps its records: it outlives the agent, as a disk outlives a process.
public final class InMemoryRecordShelf<Element: Record>: Sendable {
  fileprivate let records = Mutex<[Identifier<Element.Kind>: Element]>([:])

  public init() {}
}
