import PumiceModel
import PumiceWire

extension ShareVolumes {
  /// The files of a volume for those who open it, each found to be what it should be.
  func image(_ id: VolumeID, inUse: Bool) async throws(StorageError) -> NFSVolume {
    guard var volume = try await volume(id) else {
      throw StorageError(.notFound, "Volume \(id) can't be opened: there is no \(folder.path(of: FileNames(id).data)).")
    }
    if !inUse {
      let idle = try await settled(volume, inUse: false)
      if idle != volume { try await place(idle) }
      volume = idle
      // While it was in use, QEMU may not have come to this.
      try await grow(volume.active, of: volume, to: volume.size, inUse: false)
    }
    try await ImageCheck(folder: folder).check(volume.image, next: volume.offeredImage)
    return volume
  }
}
