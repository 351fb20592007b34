import Foundation
import Logging
import PumiceModel
import PumiceWire
import Testing

@testable import PumiceAgent

/// A volume group on disks of the node, made for one test and taken away after it.
struct VolumeGroupOfATest: Sendable {
  let name: String
  let disks: [String]

  /// Extents of 1 MiB, so that small volumes have just their size.
  static func with(
    _ name: String, disks: [String] = ["/dev/ubdb"], _ body: (VolumeGroupOfATest) async throws -> Void
  ) async throws {
    let group = VolumeGroupOfATest(name: name, disks: disks)
    try await group.wipe()
    for disk in disks { try await sh("pvcreate -qq -y -ff --metadatasize 16m \(disk)") }
    try await sh("vgcreate -qq -y -s 1m \(name) \(disks.joined(separator: " "))")
    do {
      try await body(group)
    } catch {
      let state = try? await sh(
        "lvs -a -o name,attr,size,origin,tags \(name); dmsetup status; dmsetup info -c; dmesg | tail -20")
      Issue.record("\(error)\n\(state ?? "")")
    }
    try await group.wipe()
  }

  /// Takes away everything that is in it, whatever state it is in.
  private func wipe() async throws {
    _ = try? await sh("dmsetup ls | cut -f 1 | grep '^\(name)-' | xargs -r -n 1 dmsetup resume")
    for _ in 0..<3 {
      _ = try? await sh("vgs \(name) 2>/dev/null && vgremove -qq -y -ff \(name)")
      if try await CommandRunner().run("sh", ["-c", "vgs \(name) 2>/dev/null"]).succeeded == false { break }
    }
    _ = try? await sh("dmsetup ls | cut -f 1 | grep '^\(name)-' | xargs -r dmsetup remove --retry --force")
    for disk in disks { _ = try? await sh("wipefs -qa \(disk) && pvscan -qq --cache") }
  }

  func configuration(
    _ provisioning: LVMBackendConfiguration.Provisioning, _ change: (inout LVMBackendConfiguration) -> Void = { _ in }
  ) -> LVMBackendConfiguration {
    var configuration = LVMBackendConfiguration(name: "lvm", volumeGroup: name, provisioning: provisioning)
    change(&configuration)
    return configuration
  }

  /// Names of all logical volumes but hidden ones and the pool.
  func names() async throws -> [String] {
    let filter = disks.map { "\"a|^\($0)$|\"" }.joined(separator: ", ")
    let outcome = try await CommandRunner().run(
      "lvs",
      ["--config", "devices { filter=[\(filter), \"r|.*|\"] }", "--noheadings", "-o", "name", name],
      environment: LVMSettings.environment)
    #expect(outcome.succeeded, "\(outcome.standardError)")
    return outcome.standardOutput.split(whereSeparator: \.isWhitespace).map(String.init)
      .filter { $0 != "\(name)-pool" }.sorted()
  }

  func request(
    _ size: ByteCount, revision: Revision = 1, source: VolumeSource? = nil, name: String = "database"
  ) -> VolumeRequest {
    VolumeRequest(
      revision: revision, backend: "lvm", pool: "lvm", size: size, source: source,
      description: VolumeDescription(name: name, project: "project", type: "fast", metadata: ["a": "1"]))
  }

  func snapshotRequest(of volume: VolumeID) -> SnapshotRequest {
    SnapshotRequest(
      revision: 1, volume: volume, backend: "lvm", pool: "lvm",
      description: VolumeDescription(name: "before", project: "project", type: "fast"))
  }
}

/// Runs a script, and returns what it says. Throws with what it complains about.
@discardableResult
func sh(_ script: String) async throws -> String {
  let outcome = try await CommandRunner(deadline: .seconds(120)).run(
    "bash", ["-c", "export LVM_SUPPRESS_FD_WARNINGS=1; \(script)"])
  guard outcome.succeeded else {
    throw StorageError(
      .failed,
      "`\(script)` ended with \(outcome.exitCode.map { "\($0)" } ?? "a signal"): \(outcome.standardError)\(outcome.standardOutput)"
    )
  }
  return outcome.standardOutput
}

extension Logger {
  static var silent: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

/// As an agent is after a crash: nothing in its memory, and its background has gone round once.
func reopened(_ configuration: LVMBackendConfiguration) async throws -> LVMBackend {
  let backend = try await LVMBackend.open(configuration, logger: .silent)
  var watch = FillWatch()
  await backend.keep(&watch, grace: .zero)
  return backend
}

/// What a call is refused with. The message is worth reading.
func refusal(
  sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async -> StorageError? {
  let error = await #expect(throws: StorageError.self, sourceLocation: sourceLocation) { try await body() }
  if let error { #expect(error.message.hasSuffix("."), "\(error.message)", sourceLocation: sourceLocation) }
  return error
}
