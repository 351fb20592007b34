public import PumiceAgent
public import PumiceModel
public import PumiceWire
import Synchronization

/// Logs in to targets as a stranger would, whatever the connectors think.
public protocol TestInitiator: Sendable {
  /// Without user and secret it offers none.
  func logIn(
    to target: ExportedTarget, as initiator: String, user: String?, secret: String?
  ) async throws(StorageError) -> any TestSession
}

/// A login that stays up until either side ends it.
public protocol TestSession: Sendable {
  /// The disk as it answers now.
  func disk() async throws(StorageError) -> TestDisk
  /// Whether the target still serves this session.
  func isUp() async -> Bool
  func logOut() async
}

public struct TestDisk: Sendable, Equatable {
  public let volume: VolumeID?
  public let size: ByteCount

  public init(volume: VolumeID?, size: ByteCount) {
    self.volume = volume
    self.size = size
  }
}

extension TestInitiator {
  func logIn(to target: ExportedTarget) async throws(StorageError) -> any TestSession {
    try await logIn(to: target, as: target.initiator, user: target.chapUser, secret: target.chapSecret)
  }
}

/// Real logins, through libiscsi.
public struct LibiscsiInitiator: TestInitiator {
  public init() {}

  public func logIn(
    to target: ExportedTarget, as initiator: String, user: String?, secret: String?
  ) async throws(StorageError) -> any TestSession {
    var refusals = 0
    while true {
      do throws(StorageError) {
        return try await BlockingCalls.run { () throws(StorageError) in
          LibiscsiSession(
            try ISCSISession(
              ISCSISession.Address(portal: target.portals[0], iqn: target.iqn, lun: target.lun), initiator: initiator,
              user: user, secret: secret))
        }
      } catch {
        // LIO interrupts the login that is under way at a portal when any target there goes.
        refusals += 1
        guard error.code == .unavailable, refusals < 5 else { throw error }
        try? await Task.sleep(for: .milliseconds(50))
      }
    }
  }
}

final class LibiscsiSession: TestSession {
  private let session: Mutex<ISCSISession?>

  init(_ session: consuming sending ISCSISession) { self.session = Mutex(session) }

  func disk() async throws(StorageError) -> TestDisk {
    try await BlockingCalls.run { [self] () throws(StorageError) in
      try session.withLock { session throws(StorageError) in
        guard let serial = try session?.unitSerial(), let size = try session?.capacity() else {
          throw StorageError(.unavailable, "The test has logged out.")
        }
        return TestDisk(volume: VolumeID(serial), size: size)
      }
    }
  }

  func isUp() async -> Bool {
    (try? await BlockingCalls.run { [self] () throws(StorageError) in session.withLock { $0?.isReady() ?? false } })
      ?? false
  }

  func logOut() async {
    _ = try? await BlockingCalls.run { [self] () throws(StorageError) in session.withLock { $0 = nil } }
  }
}

/// Logins in an `InMemoryFabric`.
public struct InMemoryInitiator: TestInitiator {
  let fabric: InMemoryFabric

  public init(fabric: InMemoryFabric) { self.fabric = fabric }

  public func logIn(
    to target: ExportedTarget, as initiator: String, user: String?, secret: String?
  ) async throws(StorageError) -> any TestSession {
    let session = InMemoryFabric.Session(
      portal: target.portals[0], iqn: target.iqn, initiator: initiator, attachment: .random())
    _ = try fabric.logIn(session, user: user ?? "", secret: secret ?? "")
    return InMemorySession(fabric: fabric, session: session)
  }
}

struct InMemorySession: TestSession {
  let fabric: InMemoryFabric
  let session: InMemoryFabric.Session

  func disk() async throws(StorageError) -> TestDisk {
    guard await isUp(),
      let target = fabric.targets.first(where: { $0.portal == session.portal && $0.iqn == session.iqn })
    else { throw StorageError(.unavailable, "The session has ended.") }
    return TestDisk(volume: target.volume, size: target.size)
  }

  func isUp() async -> Bool { fabric.sessions.contains(session) }

  func logOut() async { fabric.logOut(session.attachment, initiator: session.initiator) }
}
