public import PumiceModel
public import PumiceWire
import Synchronization

/// Leaves the share to QEMU's own libnfs: no mount, no kernel part, nothing to clean up. It takes a server that speaks NFSv3
/// and has a portmapper, since QEMU asks for nothing else.
///
/// Before a disk goes to a guest, this node asks the server itself, as the same user, whether each file is what it should be.
public struct QEMUNFSConnector: Connector {
  public let description: ConnectorDescription
  private let shares: SharesInUse

  /// - Parameter timeout: How long a server has for each answer.
  public init(node: NodeName, timeout: Duration = .seconds(30)) {
    description = .shares(on: node, kind: "nfs-qemu")
    shares = SharesInUse(timeout: timeout)
  }

  public func connect(
    _ attachment: AttachmentID, _ request: ConnectionRequest
  ) async throws(StorageError) -> DiskSource {
    guard let image = request.target.image else {
      throw StorageError(.unsupported, "Volume \(request.volume) is not on a share, so it can't be opened as one.")
    }
    let folder = try await shares.folder(of: image)
    try await ImageProof(folder: folder).prove(image, is: request.volume)
    return .image(DiskImage(image.layers, in: folder))
  }

  /// Nothing is held outside QEMU.
  public func disconnect(_ attachment: AttachmentID) async throws(StorageError) {}
}

/// Sessions with the servers that have been asked.
private final class SharesInUse: Sendable {
  private struct Key: Hashable {
    let share: NFSShare
    let user: UInt32
    let group: UInt32
  }

  private let timeout: Duration
  private let accesses = Mutex<[Key: LibnfsAccess]>([:])

  init(timeout: Duration) { self.timeout = timeout }

  func folder(of image: SharedImage) async throws(StorageError) -> any ShareFolder {
    let key = Key(share: try NFSShare(image.share), user: image.user, group: image.group)
    let settings = LibnfsSettings(user: image.user, group: image.group, deadline: timeout)
    let access = accesses.withLock { accesses in
      let access = accesses[key] ?? LibnfsAccess(key.share, settings)
      accesses[key] = access
      return access
    }
    // Who may write to it is for the node that keeps its volumes there to judge.
    return try await LibnfsFolder(try await access.session(), allowsEverybody: true)
  }
}
