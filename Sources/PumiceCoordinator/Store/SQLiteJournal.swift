import Foundation
import GRDB
import PumiceIdentity
import PumiceModel

#if canImport(Glibc)
  import Glibc
#endif

/// The rows in one SQLite file: WAL mode, `synchronous=FULL`, one table per kind, each row a JSON document by its key.
///
/// One coordinator at a time: the file beside it with the suffix `.lock` is held by `flock(2)` for the life of the object.
public final class SQLiteJournal: Journal {
  private let database: DatabaseQueue
  private let lock: Int32

  /// Opens the file, makes it when it is missing, and brings its schema up to date.
  ///
  /// Throws `inUse` when another coordinator has it.
  public init(path: String) throws {
    lock = try Self.openPrivately(path + ".lock")
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      Glibc.close(lock)
      throw StorageError(.inUse, "Another coordinator has the store \(path).")
    }
    // SQLite gives its journals the mode of the file, so this one is made before SQLite would.
    Glibc.close(try Self.openPrivately(path))
    var configuration = GRDB.Configuration()
    configuration.journalMode = .wal
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    do {
      database = try DatabaseQueue(path: path, configuration: configuration)
      try Self.migrations.migrate(database)
    } catch {
      close(lock)
      throw StorageError(.failed, "The store \(path) could not be opened: \(error)", cause: error)
    }
  }

  deinit { close(lock) }

  public func load() async throws -> [Row] {
    try await database.read { database in
      let decoder = JSONDecoder()
      return try Row.Table.allCases.flatMap { table in
        try GRDB.Row.fetchAll(database, sql: "SELECT id, body FROM \(table.rawValue)").map { row in
          do {
            return try PumiceCoordinator.Row(table: table, json: row["body"] as Data, decoder: decoder)
          } catch {
            throw StorageError(
              .failed, "Row \(row["id"] as String) of table \(table.rawValue) is not readable: \(error)")
          }
        }
      }
    }
  }

  public func commit(_ changes: [Change]) async throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    // Of several writes to one row only the last counts.
    var seen: Set<PumiceCoordinator.Row.Key> = []
    let latest = changes.reversed().filter { seen.insert($0.key).inserted }
    let writes: [(PumiceCoordinator.Row.Key, String?)] = try latest.map { change in
      switch change {
      case .put(let row): (row.key, String(decoding: try row.json(encoder), as: UTF8.self))
      case .remove(let key): (key, nil)
      }
    }
    do {
      try await database.write { database in
        for (key, body) in writes {
          if let body {
            try database.cachedStatement(
              sql:
                "INSERT INTO \(key.table.rawValue)(id, body) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET body = excluded.body"
            ).execute(arguments: [key.id, body])
          } else {
            try database.cachedStatement(sql: "DELETE FROM \(key.table.rawValue) WHERE id = ?").execute(arguments: [
              key.id
            ])
          }
        }
      }
    } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL || error.resultCode == .SQLITE_BUSY {
      throw StorageError(
        .unavailable, "The coordinator's store could not take the change: \(error.message ?? "")", cause: error)
    }
  }

  /// Only ever grows at the end.
  private static var migrations: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1: a table of documents per kind") { database in
      for table in ["volumes", "attachments", "residues", "volume_types", "quotas", "nodes", "messages"] {
        try database.execute(
          sql:
            "CREATE TABLE \(table) (id TEXT PRIMARY KEY NOT NULL, body TEXT NOT NULL CHECK (json_valid(body))) STRICT")
      }
    }
    let tables = [
      (2, "snapshots"), (3, "revocations"), (4, "qos_specs"), (5, "transfers"), (6, "default_types"),
      (7, "quota_classes"), (8, "group_types"), (9, "volume_groups"), (10, "group_snapshots"),
    ]
    for (number, table) in tables {
      migrator.registerMigration("\(number): \(table)") { database in
        try database.execute(
          sql:
            "CREATE TABLE \(table) (id TEXT PRIMARY KEY NOT NULL, body TEXT NOT NULL CHECK (json_valid(body))) STRICT")
      }
    }
    return migrator
  }

  private static func openPrivately(_ path: String) throws -> Int32 {
    let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StorageError(.failed, "The file \(path) could not be opened: \(String(cString: strerror(errno))).")
    }
    return descriptor
  }
}

extension Row {
  fileprivate init(table: Table, json: Data, decoder: JSONDecoder) throws {
    switch table {
    case .volumes: self = .volume(try decoder.decode(Volume.self, from: json))
    case .snapshots: self = .snapshot(try decoder.decode(Snapshot.self, from: json))
    case .attachments: self = .attachment(try decoder.decode(Attachment.self, from: json))
    case .residues: self = .residue(try decoder.decode(Residue.self, from: json))
    case .volumeTypes: self = .volumeType(try decoder.decode(VolumeType.self, from: json))
    case .quotas: self = .quota(try decoder.decode(QuotaSet.self, from: json))
    case .nodes: self = .node(try decoder.decode(Node.self, from: json))
    case .messages: self = .message(try decoder.decode(UserMessage.self, from: json))
    case .revocations: self = .revocation(try decoder.decode(Revocation.self, from: json))
    case .qosSpecs: self = .qosSpec(try decoder.decode(QoSSpec.self, from: json))
    case .transfers: self = .transfer(try decoder.decode(Transfer.self, from: json))
    case .defaultTypes: self = .defaultType(try decoder.decode(DefaultVolumeType.self, from: json))
    case .quotaClasses: self = .quotaClass(try decoder.decode(QuotaSet.self, from: json))
    case .groupTypes: self = .groupType(try decoder.decode(GroupType.self, from: json))
    case .groups: self = .group(try decoder.decode(Group.self, from: json))
    case .groupSnapshots: self = .groupSnapshot(try decoder.decode(GroupSnapshot.self, from: json))
    }
  }

  fileprivate func json(_ encoder: JSONEncoder) throws -> Data {
    switch self {
    case .volume(let volume): try encoder.encode(volume)
    case .snapshot(let snapshot): try encoder.encode(snapshot)
    case .attachment(let attachment): try encoder.encode(attachment)
    case .residue(let residue): try encoder.encode(residue)
    case .volumeType(let type): try encoder.encode(type)
    case .quota(let quota): try encoder.encode(quota)
    case .node(let node): try encoder.encode(node)
    case .message(let message): try encoder.encode(message)
    case .revocation(let revocation): try encoder.encode(revocation)
    case .qosSpec(let spec): try encoder.encode(spec)
    case .transfer(let transfer): try encoder.encode(transfer)
    case .defaultType(let type): try encoder.encode(type)
    case .quotaClass(let quota): try encoder.encode(quota)
    case .groupType(let type): try encoder.encode(type)
    case .group(let group): try encoder.encode(group)
    case .groupSnapshot(let snapshot): try encoder.encode(snapshot)
    }
  }
}
