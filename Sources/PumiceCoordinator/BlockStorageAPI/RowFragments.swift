import Hummingbird
import NIOCore
import PumiceModel
import Synchronization

/// The JSON of rows that were shown lately, so that a list is copied together and not encoded anew.
///
/// A piece is used only while its row is equal to the one it was made of: it can't be stale, whoever changed what.
final class RowFragments<Row: ListedRow>: Sendable {
  /// An object, since a copy of a row costs more than to compare it.
  private final class Fragment: Sendable {
    let row: Row
    let json: [UInt8]

    init(_ row: Row, _ json: [UInt8]) {
      self.row = row
      self.json = json
    }
  }

  private struct Cache {
    var views: [Row.View: [Identifier<Row.Kind>: Fragment]] = [:]
    var count = 0
  }

  /// A fragment is about a kilobyte. When there are more, all are forgotten: what is looked at comes back at once.
  private let capacity = 4096
  private let cache = Mutex(Cache())

  func json(of row: Row, in view: Row.View) throws -> [UInt8] {
    try json(of: [row], in: view)[0]
  }

  func json(of rows: [Row], in view: Row.View) throws -> [[UInt8]] {
    var fragments = [[UInt8]](repeating: [], count: rows.count)
    var missing: [Int] = []
    cache.withLock { cache in
      let known = cache.views[view] ?? [:]
      for (index, row) in rows.enumerated() {
        if let fragment = known[row.id], fragment.row == row {
          fragments[index] = fragment.json
        } else {
          missing.append(index)
        }
      }
    }
    guard !missing.isEmpty else { return fragments }
    for index in missing { fragments[index] = try rows[index].resource(in: view) }
    cache.withLock { cache in
      if cache.count + missing.count > capacity { cache = Cache() }
      for index in missing {
        let fragment = Fragment(rows[index], fragments[index])
        if cache.views[view, default: [:]].updateValue(fragment, forKey: rows[index].id) == nil {
          cache.count += 1
        }
      }
    }
    return fragments
  }
}

extension JSONBytes {
  /// `{"key": [fragment, fragment …], …}`, where the rest is the members of an object.
  static func list(_ key: String, _ fragments: [[UInt8]], and rest: [UInt8]) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.reserveCapacity(fragments.reduce(key.utf8.count + rest.count + 8) { $0 + $1.count + 1 })
    buffer.writeString("{\"\(key)\":[")
    for (index, fragment) in fragments.enumerated() {
      if index > 0 { buffer.writeInteger(UInt8(ascii: ",")) }
      buffer.writeBytes(fragment)
    }
    buffer.writeInteger(UInt8(ascii: "]"))
    // The rest is an object of its own: its opening brace becomes the comma.
    if rest.count > 2 {
      buffer.writeInteger(UInt8(ascii: ","))
      buffer.writeBytes(rest.dropFirst())
    } else {
      buffer.writeInteger(UInt8(ascii: "}"))
    }
    return buffer
  }
}
