import PumiceModel

/// Which part of a list a request asks for.
struct Page: Sendable {
  /// As Cinder's `osapi_max_limit`.
  static let greatestLimit = 1000

  let limit: Int
  let offset: Int
  /// The id of the last element of the page before.
  let marker: String?

  init(_ query: Query) throws(StorageError) {
    limit = min(try query.integer("limit", atLeast: 0) ?? Self.greatestLimit, Self.greatestLimit)
    offset = try query.integer("offset", atLeast: 0) ?? 0
    marker = query["marker"]
  }

  /// The elements on the page, and whether more follow.
  ///
  /// - Parameter position: Where the element with the marker is.
  func slice<Elements: RandomAccessCollection>(
    of elements: Elements, after position: Int?
  ) -> (slice: Elements.SubSequence, hasMore: Bool) where Elements.Index == Int {
    let start = min(elements.endIndex, (position.map { $0 + 1 } ?? elements.startIndex) &+ min(offset, elements.count))
    let end = min(elements.endIndex, start + limit)
    return (elements[start..<end], limit > 0 && end < elements.endIndex)
  }

  /// The elements on the page by their ids.
  ///
  /// - Parameter code: Of the error when none has the marker: Cinder says 404 then, Nova 400.
  func slice<Element>(
    of elements: [Element], unknownMarker code: StorageError.Code = .notFound, by id: (Element) -> String
  ) throws(StorageError) -> (slice: ArraySlice<Element>, hasMore: Bool) {
    var position: Int?
    if let marker {
      position = elements.firstIndex { id($0) == marker }
      guard position != nil else { throw Self.unknownMarker(marker, code) }
    }
    return slice(of: elements, after: position)
  }

  static func unknownMarker(_ marker: String, _ code: StorageError.Code = .notFound) -> StorageError {
    StorageError(code, "The marker '\(marker.prefix(64))' could not be found.", field: "marker")
  }
}

/// A link of a resource or a list.
struct Link: Encodable, Sendable {
  let rel: String
  let href: String
  var type: String?
}
