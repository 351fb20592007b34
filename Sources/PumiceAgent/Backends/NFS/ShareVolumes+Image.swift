import PumiceModel
import PumiceWire

extension ShareVolumes {
  /// The files of a volume for those who open it, each found to be what it should be.
  func image(_ id: VolumeID, inUse: Bool) async throws(StorageError) -> NFSVolume {
    guard var volume = try await volume(id) else {
      throw StorageError(.notFound, "Volume \(id) can't be opened: there is no \(folder.path(of: FileNames(id).data)).")
    }
    if !inUse {
      // From now on it may be written to: what was copied of it by halves is of another time.
      memory.forgetCopies(of: volume.active)
      let idle = try await settled(volume, inUse: false)
      if idle != volume { try await place(idle) }
      volume = idle
    }
    try await ImageCheck(folder: folder).check(volume.image, next: volume.offeredImage)
    if !inUse { try await tidy(volume) }
    return volume
  }

  /// Does what QEMU may not have come to while the volume was in use: it shows all of its size, and headers have plain names.
  private func tidy(_ volume: NFSVolume) async throws(StorageError) {
    for layer in volume.chain(from: volume.active) where layer.format == .qcow2 {
      var header = try await ImageCheck(folder: folder).header(of: layer.name)
      guard header.backing != header.backing?.plain else { continue }
      header.backing = header.backing?.plain
      try await folder.write(header.encoded, to: layer.name, at: 0)
    }
    try await grow(volume.active, of: volume, to: volume.size, inUse: false)
  }
}
