public import PumiceModel
public import PumiceWire

/// Runs instances and plugs disks into them: the port that every hypervisor implements.
///
/// | driver               | kind      | speaks to                         |
/// |----------------------|-----------|-----------------------------------|
/// | `LibvirtHypervisor`  | `libvirt` | libvirtd, through its C library   |
/// | `HostHypervisor`     | `host`    | the machine itself                |
/// | `InMemoryHypervisor` | `memory`  | nobody                            |
///
/// Calls about one attachment come one at a time. `HypervisorConformance` holds a driver to what stands here.
public protocol Hypervisor: Sendable {
  /// `libvirt`, `host` or `memory`.
  var kind: String { get }

  /// Every instance, running or not.
  func instances() async throws(StorageError) -> [Instance]

  /// Every disk of ours in any instance, known by its alias `ua-<attachment id>`, from live and stored configuration.
  func disks() async throws(StorageError) -> [PluggedDisk]

  /// When it returns, the instance has the disk: live if it runs, and in its stored configuration if it has one; the
  /// XML read back says so, with the serial. A disk that is there already with this alias and serial stays as it is.
  ///
  /// Throws `notFound` without such an instance, `conflict` when the asked-for target name is taken, `invalid` when it
  /// is no target name, `wrongDevice` when the alias is there with another serial. A half that an interrupted call left
  /// out is completed, under the name of the half that is there.
  func plug(_ disk: Disk, into instance: InstanceID) async throws(StorageError) -> PluggedDisk

  /// When it returns, neither the live nor the stored XML of the instance has a disk of this attachment. A guest that
  /// does not answer gives `timeout`: ask again. Content when disk or instance are not there.
  func unplug(_ attachment: AttachmentID, from instance: InstanceID) async throws(StorageError)

  /// When it returns, the running instance shows the disk with at least this size; it never shrinks. Content when the
  /// instance is shut off. Throws `notFound` without such an instance, or when it runs without the disk.
  func resize(_ attachment: AttachmentID, of instance: InstanceID, to size: ByteCount) async throws(StorageError)

  /// Things that happened by themselves, from now on. Ends when the hypervisor object goes.
  func events() -> AsyncStream<HypervisorEvent>
}

/// A hypervisor that can ask guests to hold their file systems still.
public protocol QuiescingHypervisor: Hypervisor {
  /// When it returns, the guest has written out its file systems and takes no writes to them until `thaw`, even if that
  /// never comes. Gives how many there are; with 0 nothing is frozen.
  ///
  /// Throws `notFound` without such an instance, `conflict` when it does not run, `unsupported` when its guest can't be
  /// asked. With any of these, and when the guest refuses, nothing has changed: a guest that is frozen already refuses.
  /// After `timeout` and `unavailable` nobody knows, and `thaw` has to be called.
  func freeze(_ instance: InstanceID, within limit: Duration) async throws(StorageError) -> Int

  /// When it returns, the guest writes to its file systems again. Gives how many were frozen until then. Harmless when
  /// none was. Throws `notFound` without such an instance, `conflict` when it does not run: nothing is frozen then.
  func thaw(_ instance: InstanceID) async throws(StorageError) -> Int
}

/// A hypervisor whose instances can go over from one chain of image files to another.
public protocol LayeringHypervisor: Hypervisor {
  /// When it is complete, the disk has this image, in the live XML and in the stored one; until then, ask again.
  ///
  /// It must be one step from the image that is there: a new empty layer in front of it, or one layer less of those behind the
  /// first, whose bytes go down into the next one. A shut-off instance takes the latter only when that has been done.
  /// Harmless when repeated, and when the step has been made already. Throws `notFound` without such an instance or disk, `conflict` for any other
  /// step, `unsupported` when the instance can't take this one as it is now.
  func follow(
    _ image: DiskImage, of attachment: AttachmentID, in instance: InstanceID, isMerged: Bool
  ) async throws(StorageError) -> Progress

  /// The paths of all files that disks of any instance are made of, running or not, ours or not; but for the disk of one
  /// attachment.
  func files(besides attachment: AttachmentID) async throws(StorageError) -> Set<String>
}

/// A disk to plug.
public struct Disk: Sendable, Equatable {
  public let attachment: AttachmentID
  public let volume: VolumeID
  public internal(set) var source: DiskSource
  /// The target name asked for, such as `vdb`; the first free one if `nil`.
  public let device: String?
  public let readOnly: Bool
  /// Whether other instances may write to the volume at the same time.
  public let isShareable: Bool
  public let limits: DiskLimits?

  public init(
    attachment: AttachmentID, volume: VolumeID, source: DiskSource, device: String?, readOnly: Bool,
    isShareable: Bool = false, limits: DiskLimits? = nil
  ) {
    self.attachment = attachment
    self.volume = volume
    self.source = source
    self.device = device
    self.readOnly = readOnly
    self.isShareable = isShareable
    self.limits = limits
  }
}

/// A disk of ours as an instance's XML shows it.
public struct PluggedDisk: Sendable, Equatable {
  public let attachment: AttachmentID
  /// From `<serial>`; `nil` where that is missing or no volume id.
  public let volume: VolumeID?
  public let instance: InstanceID
  /// The target name, such as `vdb`.
  public let device: String
  public let isLive: Bool
  public let isStored: Bool

  public init(
    attachment: AttachmentID, volume: VolumeID?, instance: InstanceID, device: String, isLive: Bool, isStored: Bool
  ) {
    self.attachment = attachment
    self.volume = volume
    self.instance = instance
    self.device = device
    self.isLive = isLive
    self.isStored = isStored
  }
}

public enum HypervisorEvent: Sendable, Equatable {
  /// An instance began, ended or changed its state.
  case lifecycle(InstanceID)
  case diskRemoved(AttachmentID, InstanceID)
  /// The guest refused to let go of it.
  case diskRemovalFailed(AttachmentID, InstanceID)
  /// A guest's read or write failed; the instance may be paused. The device is named by its alias.
  case ioError(InstanceID, device: String, reason: String)
  /// The hypervisor was away and is back: secrets that it does not store are gone.
  case reconnected
}
