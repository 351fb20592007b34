import PumiceModel
import PumiceWire

/// A chain of open layers, as one sequence of bytes: read by Pumice itself, which believes no file's word for what stands
/// behind it.
struct ImageReader: Sendable {
  /// Where some bytes are; `nil` for zeros.
  struct Piece {
    var range: Range<Int64>
    var source: (file: any ShareFile, offset: Int64)?
  }

  private enum Layer {
    case raw(any ShareFile, size: Int64)
    case qcow2(any ShareFile, QCOW2Map)
  }

  private let layers: [Layer]
  /// Whether the last layer stands alone. Else what none has is left out.
  private let isWhole: Bool

  /// Opens the layers, from the first to the one that stands alone.
  ///
  /// - Parameter isWhole: Whether they are all that there are.
  static func open(
    _ layers: [SharedImage.Layer], in folder: any ShareFolder, isWhole: Bool = true
  ) async throws(StorageError) -> ImageReader {
    var opened: [Layer] = []
    do throws(StorageError) {
      for layer in layers {
        guard let status = try await folder.status(of: layer.name) else {
          throw StorageError(.notFound, "\(folder.path(of: layer.name)) can't be read: it is not there.")
        }
        let file = try await folder.open(layer.name)
        switch layer.format {
        case .raw: opened.append(.raw(file, size: status.size.bytes))
        case .qcow2:
          opened.append(.qcow2(file, try await QCOW2Map.open(file, of: folder.path(of: layer.name))))
        }
      }
      return ImageReader(layers: opened, isWhole: isWhole)
    } catch {
      await ImageReader(layers: opened, isWhole: isWhole).close()
      throw error
    }
  }

  func close() async {
    for layer in layers {
      switch layer {
      case .raw(let file, _), .qcow2(let file, _): try? await file.close()
      }
    }
  }

  /// What one sees in a range, in its order.
  func pieces(in range: Range<Int64>) async throws(StorageError) -> [Piece] { try await pieces(in: range, from: 0) }

  private func pieces(in range: Range<Int64>, from index: Int) async throws(StorageError) -> [Piece] {
    guard index < layers.count else { return isWhole ? [Piece(range: range, source: nil)] : [] }
    let size =
      switch layers[index] {
      case .raw(_, let size): size
      case .qcow2(_, let map): map.header.size.bytes
      }
    let end = max(range.lowerBound, min(range.upperBound, size))
    var pieces: [Piece] = []
    if range.lowerBound < end {
      switch layers[index] {
      case .raw(let file, _):
        pieces.append(Piece(range: range.lowerBound..<end, source: (file, range.lowerBound)))
      case .qcow2(let file, let map):
        for run in try await map.runs(in: range.lowerBound..<end) {
          switch run.content {
          case .data(let offset): pieces.append(Piece(range: run.range, source: (file, offset)))
          case .zeros: pieces.append(Piece(range: run.range, source: nil))
          case .absent: pieces += try await self.pieces(in: run.range, from: index + 1)
          }
        }
      }
    }
    if end < range.upperBound, isWhole { pieces.append(Piece(range: end..<range.upperBound, source: nil)) }
    return pieces
  }
}
