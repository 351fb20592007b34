import PumiceModel

/// Copies pieces of images into a file, with many requests under way at once.
struct PieceCopy: Sendable {
  /// How many requests are under way at once.
  var width = 16
  /// How much each of them is about.
  var chunk: Int64 = 512 << 10
  /// Whether the file has nothing but zeros there, so that those need not be written.
  let isFresh: Bool

  /// Writes the pieces where they belong. Not durable before the file is synced.
  func write(_ pieces: [ImageReader.Piece], to file: any ShareFile) async throws(StorageError) {
    var chunks = pieces.lazy.flatMap { piece in
      stride(from: piece.range.lowerBound, to: piece.range.upperBound, by: Int(chunk)).lazy.map { start in
        let end = min(start + chunk, piece.range.upperBound)
        return ImageReader.Piece(
          range: start..<end, source: piece.source.map { ($0.file, $0.offset + start - piece.range.lowerBound) })
      }
    }.makeIterator()
    let (width, isFresh) = (width, isFresh)
    let failure = await withTaskGroup(of: StorageError?.self) { group in
      func begin() {
        while let next = chunks.next() {
          if next.source == nil, isFresh { continue }
          group.addTask { await Self.copy(next, to: file, isFresh: isFresh) }
          return
        }
      }
      for _ in 0..<width { begin() }
      var failure: StorageError?
      while let outcome = await group.next() {
        failure = failure ?? outcome
        if failure == nil { begin() }
      }
      return failure
    }
    if let failure { throw failure }
  }

  private static func copy(_ piece: ImageReader.Piece, to file: any ShareFile, isFresh: Bool) async -> StorageError? {
    do throws(StorageError) {
      var bytes: [UInt8] = []
      if let source = piece.source { bytes = try await source.file.read(piece.range.count, at: source.offset) }
      if isFresh, isZero(bytes) { return nil }
      // A file may end before its last cluster does: the rest is zeros.
      if bytes.count < piece.range.count { bytes += [UInt8](repeating: 0, count: piece.range.count - bytes.count) }
      try await file.write(bytes, at: piece.range.lowerBound)
      return nil
    } catch {
      return error
    }
  }

  static func isZero(_ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var offset = 0
      while offset + 8 <= buffer.count {
        if buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
        offset += 8
      }
      return buffer[offset...].allSatisfy { $0 == 0 }
    }
  }
}
