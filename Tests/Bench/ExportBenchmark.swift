import Foundation
import PumiceAgent
import PumiceModel
import PumiceWire
import Synchronization
import TestBed

/// Five hundred exports on LIO: by their system calls alone, by the exporter, and one by targetcli.
enum ExportBenchmark {
  private static let portal = "127.0.0.1:3260"
  private static let prefix = "iqn.2026-11.io.pumice.bench"

  static func run() async throws {
    let folder = try TemporaryFolder()
    defer { folder.remove() }
    var exports: [Export] = []
    for number in 0..<500 {
      let file = folder.file("volume-\(number)")
      guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, 1 << 20) == 0 else {
        throw TestBedFailure("\(file) could not be made.")
      }
      exports.append(export(file))
    }
    let recorder = Recorder()
    let recording = try LIOExporter(
      portals: [portal], iqnPrefix: prefix, configfs: recorder, logger: NodeBenchmark.silent)
    // This one makes the kernel ready.
    let exporter = try LIOExporter(portals: [portal], iqnPrefix: prefix, logger: NodeBenchmark.silent)
    _ = try await exporter.ensure(exports[0])
    try await exporter.remove(exports[0], remaining: [])

    let clock = ContinuousClock()
    var (bare, ensured) = (Duration.zero, Duration.zero)
    // By turns, since the machine may have other work, too.
    for part in stride(from: 0, to: exports.count, by: 50).map({ Array(exports[$0..<($0 + 50)]) }) {
      for export in part { _ = try await recording.ensure(export) }
      let operations = recorder.takeAll()
      for export in part { try await exporter.remove(export, remaining: []) }
      bare += try await clock.measure {
        try await BlockingCalls.run { () throws(StorageError) in
          for operation in operations { try KernelConfigfs().perform(operation) }
        }
      }
      for export in part { try await exporter.remove(export, remaining: []) }
      ensured += try await clock.measure { for export in part { _ = try await exporter.ensure(export) } }
    }
    guard try await exporter.exports().count == exports.count else { throw TestBedFailure("Exports are missing.") }
    for export in exports { try await exporter.remove(export, remaining: []) }
    NodeBenchmark.say("bare", bare)
    NodeBenchmark.say("ensured", ensured)
    NodeBenchmark.say("targetcli", try await targetcli(in: folder))
  }

  /// The same with targetcli: one process for all of an export's commands, which is the quickest way.
  private static func targetcli(in folder: TemporaryFolder) async throws -> Duration {
    try await NodeBenchmark.command("sh", "-c", "dbus-uuidgen --ensure && dbus-daemon --system --fork --nopidfile")
    let clock = ContinuousClock()
    var times: [Duration] = []
    for number in 0..<3 {
      let (iqn, initiator) = ("\(prefix):cli\(number)", "iqn.2026-11.io.pumice:node")
      let commands = try folder.write(
        """
        /backstores/fileio create name=cli\(number) file_or_dev=\(folder.file("volume-\(number)")) write_back=false
        /iscsi create \(iqn)
        /iscsi/\(iqn)/tpg1/luns create /backstores/fileio/cli\(number)
        /iscsi/\(iqn)/tpg1/acls create \(initiator)
        /iscsi/\(iqn)/tpg1/acls/\(initiator) set auth userid=user password=secret-of-16-cha
        /iscsi/\(iqn)/tpg1 set attribute authentication=1
        exit

        """, to: "commands-\(number)")
      let start = clock.now
      let output = try await NodeBenchmark.command("sh", "-c", "targetcli <'\(commands)'")
      times.append(clock.now - start)
      let acl = "\(KernelConfigfs.mountPoint)/target/iscsi/\(iqn)/tpgt_1/acls/\(initiator)/lun_0"
      guard access(acl, F_OK) == 0 else { throw TestBedFailure("targetcli made no export: \(output)") }
      try await NodeBenchmark.command("targetcli", "/iscsi", "delete", iqn)
      try await NodeBenchmark.command("targetcli", "/backstores/fileio", "delete", "cli\(number)")
    }
    return times.percentile(0.5)
  }

  private static func export(_ path: String) -> Export {
    let attachment = AttachmentID.random()
    return Export(
      attachment: attachment, volume: .random(), revision: 1, backend: "files", pool: "files", path: path,
      initiator: "iqn.2026-11.io.pumice:node-1:\(attachment)", readOnly: false, chapUser: "pumice-\(attachment)",
      chapSecret: "secret-of-16-cha")
  }
}

/// The kernel's configfs, with a list of what was done there.
private final class Recorder: Configfs {
  private let kernel = KernelConfigfs()
  private let operations = Mutex<[ConfigfsOperation]>([])

  func list(_ folder: String) throws(StorageError) -> ConfigfsListing? { try kernel.list(folder) }
  func value(_ file: String) throws(StorageError) -> String? { try kernel.value(file) }

  func perform(_ operation: ConfigfsOperation) throws(StorageError) {
    try kernel.perform(operation)
    operations.withLock { $0.append(operation) }
  }

  func takeAll() -> [ConfigfsOperation] {
    operations.withLock { operations in
      defer { operations = [] }
      return operations
    }
  }
}
