import PumiceModel
import PumiceWire

/// Bytes of images, moved in slices: each call does a part, makes it durable, and remembers where it stands.
extension ShareVolumes {
  /// Goes on with the copy that was begun for a volume.
  func copySlice(for id: VolumeID, length: Int64) async throws(StorageError) -> Progress {
    guard let copy = memory.copy(for: id) else { return .complete }
    return try await slice(of: copy, for: id, length: length, isFresh: true)
  }

  /// Writes what a layer holds itself into the one behind it, which is raw. Nobody sees the difference: the layer hides it.
  func mergeSlice(
    _ layer: SharedImage.Layer, into parent: String, of id: VolumeID
  ) async throws(StorageError) -> Progress {
    let begun = memory.copy(for: id).flatMap { $0.layer == parent && $0.source == [layer] ? $0 : nil }
    let length = try await ImageCheck(folder: folder).header(of: layer.name).size
    if begun == nil { try await folder.grow(parent, to: length, thick: false) }
    let progress = try await slice(
      of: begun ?? ShareMemory.Copy(layer: parent, source: [layer], position: 0), for: id, length: length.bytes,
      isFresh: false)
    if progress.isComplete { memory.set(nil, for: id) }
    return progress
  }

  /// Writes what two layers hold themselves into a new one over `backing`.
  func mergeSlice(
    _ layers: [SharedImage.Layer], into name: String, over backing: QCOW2Header.Backing?, of id: VolumeID
  ) async throws(StorageError) -> Progress {
    let length = try await ImageCheck(folder: folder).header(of: layers[0].name).size
    let begun = memory.merge(into: name, of: id)
    if begun == nil {
      try await folder.remove(name)
      try await folder.create(name)
    }
    var writer = begun ?? QCOW2Writer(size: length, backing: backing)
    memory.set(nil, into: name, of: id)
    var size = ByteCount.zero
    try await moving(layers, isWhole: false, into: name) { reader, file throws(StorageError) in
      let deadline = ContinuousClock.now + settings.slice
      repeat {
        let end = min(writer.position + QCOW2Writer.region, length.bytes)
        try await writer.append(try await reader.pieces(in: writer.position..<end), until: end, to: file)
      } while writer.position < length.bytes && ContinuousClock.now < deadline
      if writer.position >= length.bytes { size = try await writer.finish(file) }
    }
    guard writer.position >= length.bytes else {
      memory.set(writer, into: name, of: id)
      return Progress(done: Double(writer.position) / Double(length.bytes))
    }
    try await folder.grow(name, to: size, thick: false)
    return .complete
  }

  /// Does a part of a copy, and remembers up to where it is durable.
  ///
  /// - Parameter isFresh: Whether the target has nothing but zeros, and gets all that one sees of the source. Else it gets what
  ///   the source's layers hold themselves.
  private func slice(
    of copy: ShareMemory.Copy, for id: VolumeID, length: Int64, isFresh: Bool
  ) async throws(StorageError) -> Progress {
    var copy = copy
    try await moving(copy.source, isWhole: isFresh, into: copy.layer) { reader, file throws(StorageError) in
      let deadline = ContinuousClock.now + settings.slice
      repeat {
        let next = min(copy.position + settings.window, length)
        try await PieceCopy(isFresh: isFresh).write(try await reader.pieces(in: copy.position..<next), to: file)
        copy.position = next
      } while copy.position < length && ContinuousClock.now < deadline
    }
    memory.set(copy, for: id)
    return copy.position >= length ? .complete : Progress(done: Double(copy.position) / Double(length))
  }

  /// Opens layers and a file for what comes out of them, which is durable when it returns. Both are closed, however it ends.
  private func moving(
    _ layers: [SharedImage.Layer], isWhole: Bool, into name: String,
    _ body: (ImageReader, any ShareFile) async throws(StorageError) -> Void
  ) async throws(StorageError) {
    let reader = try await ImageReader.open(layers, in: folder, isWhole: isWhole)
    do throws(StorageError) {
      let file = try await folder.open(name)
      do throws(StorageError) {
        try await body(reader, file)
        try await file.sync()
      } catch {
        try? await file.close()
        throw error
      }
      try await file.close()
    } catch {
      await reader.close()
      throw error
    }
    await reader.close()
  }
}
