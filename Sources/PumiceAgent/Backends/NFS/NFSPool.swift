import Logging
import PumiceModel
import PumiceWire

/// The way to a share's folder, as it is now.
protocol ShareAccess: Sendable {
  /// Throws by a deadline, with the reason, while the share can't be reached.
  func folder() async throws(StorageError) -> any ShareFolder
}

/// A share through libnfs, with another session after each that was lost.
struct LibnfsShareAccess: ShareAccess {
  let access: LibnfsAccess
  let allowsEverybody: Bool
  let fault: LibnfsFolder.Fault?

  func folder() async throws(StorageError) -> any ShareFolder {
    try await LibnfsFolder(try await access.session(), allowsEverybody: allowsEverybody, fault: fault)
  }
}

/// A share that the kernel mounts.
struct MountedShareAccess: ShareAccess {
  let mount: MountedShare
  let settings: MountedFolder.Settings

  func folder() async throws(StorageError) -> any ShareFolder { try await MountedFolder.open(mount, settings) }
}

/// One share of a backend, which is one pool of it.
struct NFSPool: Sendable {
  let name: String
  let access: any ShareAccess
  let memory = ShareMemory()
  let settings: ShareVolumes.Settings
  let options: String?
  let patience: SharePatience
  /// For what takes long on a share of many volumes, whose server is well.
  let listing: SharePatience

  init(name: String, access: any ShareAccess, settings: ShareVolumes.Settings, options: String?) {
    self.name = name
    self.access = access
    self.settings = settings
    self.options = options
    patience = SharePatience(name)
    listing = SharePatience(name)
  }

  func volumes() async throws(StorageError) -> ShareVolumes {
    ShareVolumes(folder: try await access.folder(), memory: memory, settings: settings)
  }
}
