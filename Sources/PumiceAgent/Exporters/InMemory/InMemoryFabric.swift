public import PumiceModel
import Synchronization

/// A storage network in memory: which targets stand at which portal, whom they admit, and who is logged in.
///
/// It outlives agents and is shared by all of them, like cables. Nothing in it waits or knows the time.
public final class InMemoryFabric: Sendable {
  /// An initiator that a target lets in with its secret.
  public struct Admission: Sendable, Equatable {
    public let attachment: AttachmentID
    public let initiator: String
    public let chapUser: String
    public let chapSecret: String
    public let isReadOnly: Bool
  }

  public struct Target: Sendable, Equatable {
    public let portal: String
    public let iqn: String
    public let volume: VolumeID
    public internal(set) var path: String
    /// As the volume was when it was last exported.
    public internal(set) var size: ByteCount
    public internal(set) var admissions: [Admission]
  }

  /// A login that stands.
  public struct Session: Sendable, Hashable {
    public let portal: String
    public let iqn: String
    public let initiator: String
    /// For whom the connector logged in.
    public let attachment: AttachmentID

    public init(portal: String, iqn: String, initiator: String, attachment: AttachmentID) {
      self.portal = portal
      self.iqn = iqn
      self.initiator = initiator
      self.attachment = attachment
    }
  }

  private struct Address: Hashable, Comparable {
    let portal: String
    let iqn: String

    static func < (left: Self, right: Self) -> Bool { (left.portal, left.iqn) < (right.portal, right.iqn) }
  }

  private struct State {
    var targets: [Address: Target] = [:]
    var sessions: [Session] = []
  }

  private let state = Mutex(State())

  public init() {}

  // MARK: What there is

  /// Every target, by portal and name.
  public var targets: [Target] {
    state.withLock { state in state.targets.sorted { $0.key < $1.key }.map(\.value) }
  }

  /// Every session, oldest first.
  public var sessions: [Session] { state.withLock(\.sessions) }

  /// What the session is about; `nil` when its target is gone.
  public func volume(of session: Session) -> VolumeID? {
    state.withLock { $0.targets[Address(portal: session.portal, iqn: session.iqn)]?.volume }
  }

  // MARK: What happens to machines

  /// The target software at a portal ends, or its machine: its targets and their sessions are gone.
  public func forgetTargets(at portal: String) {
    state.withLock { state in
      state.targets = state.targets.filter { $0.key.portal != portal }
      state.sessions.removeAll { $0.portal == portal }
    }
  }

  /// A compute node ends: the sessions whose initiators' names begin so are gone.
  public func endSessions(ofInitiatorsNamed prefix: String) {
    state.withLock { $0.sessions.removeAll { $0.initiator.hasPrefix(prefix) } }
  }

  // MARK: The target's side

  /// Makes the target stand with this path and size; whom it admits stays.
  func offer(_ iqn: String, at portal: String, volume: VolumeID, path: String, size: ByteCount) {
    state.withLock {
      let address = Address(portal: portal, iqn: iqn)
      var target =
        $0.targets[address]
        ?? Target(portal: portal, iqn: iqn, volume: volume, path: path, size: size, admissions: [])
      target.path = path
      target.size = size
      $0.targets[address] = target
    }
  }

  /// Admits the initiator of one attachment, in place of what was admitted for it.
  func admit(_ admission: Admission, to iqn: String, at portal: String) {
    state.withLock {
      let address = Address(portal: portal, iqn: iqn)
      $0.targets[address]?.admissions.removeAll { $0.attachment == admission.attachment }
      $0.targets[address]?.admissions.append(admission)
    }
  }

  func refuse(_ attachment: AttachmentID, at iqn: String, portal: String) {
    state.withLock {
      $0.targets[Address(portal: portal, iqn: iqn)]?.admissions.removeAll { $0.attachment == attachment }
    }
  }

  /// Ends the sessions of initiators that the target does not admit any more.
  func endUnadmittedSessions(with iqn: String, at portal: String) {
    state.withLock { state in
      let admitted = Set(state.targets[Address(portal: portal, iqn: iqn)]?.admissions.map(\.initiator) ?? [])
      state.sessions.removeAll { $0.portal == portal && $0.iqn == iqn && !admitted.contains($0.initiator) }
    }
  }

  func withdraw(_ iqn: String, at portal: String) {
    state.withLock { state in
      state.targets[Address(portal: portal, iqn: iqn)] = nil
      state.sessions.removeAll { $0.portal == portal && $0.iqn == iqn }
    }
  }

  // MARK: The initiator's side

  /// Logs in and stays. Throws as a target would: `unavailable` without portal, `notFound` without target, `forbidden` for a
  /// wrong initiator or secret.
  public func logIn(
    _ session: Session, user: String, secret: String
  ) throws(StorageError) -> (volume: VolumeID, size: ByteCount) {
    try state.withLock { state throws(StorageError) in
      let attempt = "Logging in to \(session.iqn) at \(session.portal) as \(session.initiator)"
      guard let target = state.targets[Address(portal: session.portal, iqn: session.iqn)] else {
        throw StorageError(.notFound, "\(attempt) failed: there is no such target.")
      }
      let admissions = target.admissions.filter { $0.initiator == session.initiator }
      guard !admissions.isEmpty else {
        throw StorageError(.forbidden, "\(attempt) failed: the target does not admit this initiator.")
      }
      guard admissions.contains(where: { $0.chapUser == user && $0.chapSecret == secret }) else {
        throw StorageError(.forbidden, "\(attempt) failed: the target does not accept the CHAP secret.")
      }
      if !state.sessions.contains(session) { state.sessions.append(session) }
      return (target.volume, target.size)
    }
  }

  public func logOut(_ attachment: AttachmentID, initiator: String) {
    state.withLock { $0.sessions.removeAll { $0.attachment == attachment && $0.initiator == initiator } }
  }
}
