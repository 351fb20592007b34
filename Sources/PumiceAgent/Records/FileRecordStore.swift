public import Logging
public import PumiceModel
import PumiceWire
import Synchronization

/// Records as JSON files in a folder, one per subject, which only the agent's user can read.
///
/// All are read once, when it is opened; after that reading costs nothing. Every change is on disk, its name included,
/// before it is seen. All file work runs on threads of its own.
public final class FileRecordStore<Element: Record>: RecordStore {
  private let folder: RecordFolder
  private let records: Mutex<[Identifier<Element.Kind>: Element]>

  /// Makes the folder if there is none, sweeps away what a crash has left, and reads every record.
  ///
  /// A file that can't be read as a record is kept as `<name>.damaged` and logged, so that one bad file does not keep the
  /// others from being restored. Throws `forbidden` for a folder that is a link or open to others.
  public static func open(_ path: String, logger: Logger) async throws(StorageError) -> FileRecordStore {
    try await BlockingCalls.run { () throws(StorageError) in
      let folder = try RecordFolder(path: path)
      var records: [Identifier<Element.Kind>: Element] = [:]
      for name in try folder.sweptNames() {
        do throws(StorageError) {
          let record = try WireJSON.decode(Element.self, from: try folder.read(name))
          guard name == fileName(record.subject) else {
            throw StorageError(.failed, "It is the record of \(record.subject).")
          }
          records[record.subject] = record
        } catch {
          logger.error(
            "record can't be read and is set aside", metadata: ["file.path": "\(path)/\(name)", "error": "\(error)"])
          try folder.setAside(name)
        }
      }
      return FileRecordStore(folder, records)
    }
  }

  private init(_ folder: RecordFolder, _ records: [Identifier<Element.Kind>: Element]) {
    self.folder = folder
    self.records = Mutex(records)
  }

  public var all: [Element] { records.withLock { $0.values.sorted { $0.subject < $1.subject } } }

  public func record(of subject: Identifier<Element.Kind>) -> Element? { records.withLock { $0[subject] } }

  public func put(_ record: Element) async throws(StorageError) {
    let bytes = try WireJSON.encode(record)
    try await BlockingCalls.run { [self] () throws(StorageError) in
      try folder.write(bytes, as: Self.fileName(record.subject))
      records.withLock { $0[record.subject] = record }
    }
  }

  public func remove(_ subject: Identifier<Element.Kind>) async throws(StorageError) {
    try await BlockingCalls.run { [self] () throws(StorageError) in
      try folder.remove(Self.fileName(subject))
      records.withLock { $0[subject] = nil }
    }
  }

  private static func fileName(_ subject: Identifier<Element.Kind>) -> String { "\(subject).json" }
}
