import PumiceModel
import PumiceWire

/// Bytes of images, moved in slices: each call does a part, makes it durable, and remembers where it stands.
extension ShareVolumes {
  /// Goes on with the copy that was begun for a volume.
  func copySlice(for id: VolumeID, length: Int64) async throws(StorageError) -> Progress {
    guard var copy = memory.copy(for: id) else { return .complete }
    let reader = try await ImageReader.open(copy.source, in: folder)
    do throws(StorageError) {
      copy.position = try await slice(from: copy.position, to: length, into: copy.layer, isFresh: true) {
        range throws(StorageError) in try await reader.pieces(in: range)
      }
    } catch {
      await reader.close()
      throw error
    }
    await reader.close()
    memory.set(copy, for: id)
    return copy.position >= length ? .complete : Progress(done: Double(copy.position) / Double(length))
  }

  /// Writes what a layer holds itself into the one behind it, which is raw. Nobody sees the difference: the layer hides it.
  func mergeSlice(
    _ layer: SharedImage.Layer, into parent: String, of id: VolumeID
  ) async throws(StorageError) -> Progress {
    let begun = memory.copy(for: id).flatMap { $0.layer == parent && $0.source == [layer] ? $0 : nil }
    var copy = begun ?? ShareMemory.Copy(layer: parent, source: [layer], position: 0)
    let length = try await ImageCheck(folder: folder).header(of: layer.name).size
    if begun == nil { try await folder.grow(parent, to: length, thick: false) }
    let reader = try await ImageReader.open([layer], in: folder, isWhole: false)
    do throws(StorageError) {
      copy.position = try await slice(from: copy.position, to: length.bytes, into: parent, isFresh: false) {
        range throws(StorageError) in try await reader.pieces(in: range)
      }
    } catch {
      await reader.close()
      throw error
    }
    await reader.close()
    let isComplete = copy.position >= length.bytes
    memory.set(isComplete ? nil : copy, for: id)
    return isComplete ? .complete : Progress(done: Double(copy.position) / Double(length.bytes))
  }

  /// Writes what two layers hold themselves into a new one over `backing`.
  func mergeSlice(
    _ layers: [SharedImage.Layer], into name: String, over backing: (name: String, format: SharedImage.Format)?,
    of id: VolumeID
  ) async throws(StorageError) -> Progress {
    let length = try await ImageCheck(folder: folder).header(of: layers[0].name).size
    var writer = memory.merge(into: name, of: id)
    if writer == nil {
      try await folder.remove(name)
      try await folder.create(name)
    }
    var current =
      writer
      ?? QCOW2Writer(size: length, backing: backing.map { QCOW2Header.Backing(name: $0.name, format: $0.format) })
    memory.set(nil, into: name, of: id)
    let reader = try await ImageReader.open(layers, in: folder, isWhole: false)
    let file: any ShareFile
    do throws(StorageError) {
      file = try await folder.open(name)
    } catch {
      await reader.close()
      throw error
    }
    var size = ByteCount.zero
    do throws(StorageError) {
      let deadline = ContinuousClock.now + settings.slice
      repeat {
        let end = min(current.position + QCOW2Writer.region, length.bytes)
        try await current.append(try await reader.pieces(in: current.position..<end), until: end, to: file)
      } while current.position < length.bytes && ContinuousClock.now < deadline
      if current.position >= length.bytes { size = try await current.finish(file) }
      try await file.sync()
    } catch {
      try? await file.close()
      await reader.close()
      throw error
    }
    try await file.close()
    await reader.close()
    writer = current
    guard current.position >= length.bytes else {
      memory.set(writer, into: name, of: id)
      return Progress(done: Double(current.position) / Double(length.bytes))
    }
    try await folder.grow(name, to: size, thick: false)
    return .complete
  }

  /// Returns up to where it is durable.
  private func slice(
    from start: Int64, to end: Int64, into name: String, isFresh: Bool,
    _ pieces: (Range<Int64>) async throws(StorageError) -> [ImageReader.Piece]
  ) async throws(StorageError) -> Int64 {
    let file = try await folder.open(name)
    var position = start
    do throws(StorageError) {
      let deadline = ContinuousClock.now + settings.slice
      repeat {
        let next = min(position + settings.window, end)
        try await PieceCopy(isFresh: isFresh).write(try await pieces(position..<next), to: file)
        position = next
      } while position < end && ContinuousClock.now < deadline
      try await file.sync()
    } catch {
      try? await file.close()
      throw error
    }
    try await file.close()
    return position
  }
}
