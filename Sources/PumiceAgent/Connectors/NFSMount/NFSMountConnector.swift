import Logging
import PumiceModel
import PumiceWire
import Synchronization

/// Has the kernel mount shares, and gives QEMU the paths of images in them.
///
/// A share is mounted once for all that this node uses of it, and unmounted when the last of them is gone. Who uses it is
/// counted nowhere: it is looked up when it matters, in what the hypervisor says of all its instances, those that are shut off
/// included, and in the records of connections. While that can't be read, nothing is unmounted. Nor is what was mounted by
/// somebody else, or belongs to a backend of this node.
struct NFSMountConnector: DeviceConnector {
  /// Shows, with the files of a share before it, that an image is a volume. Throws `wrongDevice` when it is not.
  typealias Proof =
    @Sendable (_ folder: any ShareFolder, _ volume: VolumeID, _ image: SharedImage) async throws(StorageError) -> Void

  /// The paths of files that somebody uses or is about to use, but for what one attachment alone does.
  typealias Usage = @Sendable (_ besides: AttachmentID) async throws(StorageError) -> Set<String>

  let description: ConnectorDescription
  private let mounts: ShareMounts
  private let usage: Usage
  private let proof: Proof
  private let logger: Logger
  /// Held per mount point from the question who uses it until it is unmounted, and while an attachment comes to it.
  private let locks = KeyedLock<String>()
  /// What this process has connected, which may be in no instance yet.
  private let connected = Connected()

  private final class Connected: Sendable {
    let shares = Mutex<[AttachmentID: NFSShare]>([:])
  }

  init(
    initiator: String, mounts: ShareMounts, usage: @escaping Usage, proof: @escaping Proof = Self.proof, logger: Logger
  ) {
    self.mounts = mounts
    self.usage = usage
    self.proof = proof
    self.logger = logger
    description = ConnectorDescription(
      kind: "nfs-mount", protocolName: "NFS", initiator: initiator, namesInitiatorPerAttachment: false)
  }

  /// When it returns, the share is mounted, its server answers, and the image has all its files there, of which `ImageProof`
  /// says that they are the volume. A call that fails leaves no mount that was not there before.
  func connect(_ attachment: AttachmentID, _ request: ConnectionRequest) async throws(StorageError) -> DiskSource {
    guard let image = request.target.image, !image.layers.isEmpty else {
      throw .invalid("target.image", "must name a share and the files of an image.")
    }
    let (share, options) = (try NFSShare(image.share), try NFSMountOptions(image.mountOptions))
    let mount = mounts.share(share)
    let arrival = ContinuousClock.now
    return try await locks.withLock(mount.mountPoint) { () async throws(StorageError) in
      let wasAbsent = try mount.standing() == .absent
      let before = connected.shares.withLock { $0.updateValue(share, forKey: attachment) }
      do throws(StorageError) {
        try await mount.ensureMounted(options, arrival: arrival)
        let folder = MountedFolder(mount, MountedFolder.Settings(options: options, allowsEverybody: true))
        try await check(image, request, in: folder)
        return .image(DiskImage(image.layers.map { DiskImage.Layer(folder.place(of: $0.name), $0.format) }))
      } catch {
        connected.shares.withLock { $0[attachment] = before }
        if wasAbsent { try? await unmountUnlessUsed(mount, besides: attachment) }
        throw error
      }
    }
  }

  /// Unmounts the attachment's share, unless somebody uses it; and others of ours that nobody does, as far as that works.
  ///
  /// Throws `inUse` when a program has something open there that nobody knows of. It is not forced.
  func disconnect(_ attachment: AttachmentID) async throws(StorageError) {
    let own = connected.shares.withLock { $0[attachment] }
    for mount in mounts.marked() {
      do throws(StorageError) {
        try await locks.withLock(mount.mountPoint) { () async throws(StorageError) in
          try await unmountUnlessUsed(mount, besides: attachment)
        }
      } catch {
        if mount.share == own { throw error }
        logger.warning(
          "a share that nobody uses stays mounted",
          metadata: ["share.name": "\(mount.share)", "error": "\(error)", "attachment.id": "\(attachment)"])
      }
    }
    connected.shares.withLock { $0[attachment] = nil }
  }

  /// None: a mount that nobody uses belongs to no attachment, stands in nobody's way, and goes with the next that ends.
  func leftovers(
    unless isWanted: @Sendable (AttachmentID) -> Bool
  ) async throws(StorageError) -> [Inventory.Leftover] { [] }

  private func unmountUnlessUsed(_ mount: MountedShare, besides attachment: AttachmentID) async throws(StorageError) {
    guard !mounts.isKept(mount.share) else { return }
    let hasOthers = connected.shares.withLock { shares in
      shares.contains { $0.key != attachment && $0.value == mount.share }
    }
    guard !hasOthers else { return }
    let paths = try await usage(attachment)
    guard !paths.contains(where: { $0.hasPrefix("\(mount.mountPoint)/") }) else { return }
    try await mount.unmount()
  }

  private static let proof: Proof = { folder, volume, image throws(StorageError) in
    try await ImageProof(folder: folder).prove(image, is: volume)
  }

  private func check(
    _ image: SharedImage, _ request: ConnectionRequest, in folder: MountedFolder
  ) async throws(StorageError) {
    for layer in image.layers {
      guard let status = try await folder.status(of: layer.name) else {
        throw StorageError(
          .notFound, "Volume \(request.volume) can't be connected: there is no \(folder.path(of: layer.name)).")
      }
      // What the guest sees of a raw file is all of it, and of another format what stands in it.
      if layer.format == .raw, image.layers.count == 1, status.size < request.size {
        throw StorageError(
          .wrongDevice,
          "\(folder.path(of: layer.name)) has \(status.size) (\(status.size.bytes) bytes), less than \(request.size).")
      }
    }
    try await proof(folder, request.volume, image)
  }
}
