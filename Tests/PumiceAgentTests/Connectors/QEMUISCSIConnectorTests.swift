import Conformance
import Logging
import PumiceModel
import TestBed
import Testing

@testable import PumiceAgent

struct QEMUISCSIConnectorTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test(.timeLimit(.minutes(2))) func keepsThePromisesOfAConnector() async throws {
    try await Bed.with { bed in
      let daemon = try TargetDaemon(in: bed)
      try await daemon.start()
      let backend = try await DirectoryBackend.open(
        DirectoryBackendConfiguration(name: "files", path: try bed.folder.folder("volumes")), logger: logger)
      try await ConnectorConformance(
        QEMUISCSIConnector(initiator: "iqn.2026-11.io.pumice:node-1"),
        exporter: TGTExporter(socketPath: daemon.ipcSocket, portals: [daemon.portal], logger: logger),
        backend: backend, pool: "files", deadPortal: "127.0.0.1:\(try freePort())"
      ).check()
    }
  }

  @Test(arguments: [
    ("Failed to log in to target. Status: Authentication failure(513)", StorageError.Code.forbidden),
    ("Failed to log in to target. Status: Authorization failure(514)", .forbidden),
    ("Failed to log in to target. Status: Target not found(515)", .notFound),
    ("Failed to log in to target. Status: Service unavailable(769)", .unavailable),
    ("Failed to connect to iSCSI socket. Connection refused", .unavailable), ("", .unavailable),
    ("something (else)", .unavailable), ("(", .unavailable), (")", .unavailable),
  ])
  func aFailedLoginIsUnderstood(_ message: String, _ code: StorageError.Code) {
    let error = ISCSIError.login("Logging in", message: message)
    #expect(error.code == code)
    #expect(error.message.hasPrefix("Logging in failed: ") && error.message.hasSuffix("."))
  }

  @Test func aPortalThatSaysNothingIsGivenUpInTime() async throws {
    // Accepts, by way of the backlog, and never answers.
    try await withSilentPortal { portal in
      let error = await #expect(throws: StorageError.self) {
        try await BlockingCalls.run { () throws(StorageError) in
          _ = try ISCSISession(
            ISCSISession.Address(portal: portal, iqn: "iqn.2026-11.org.example:a", lun: 1),
            initiator: "iqn.2026-11.org.example:b", user: nil, secret: nil, deadline: .milliseconds(300))
        }
      }
      #expect(error?.code == .timeout)
    }
  }
}
