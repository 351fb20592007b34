import HTTPTypes
import HashTreeCollections
import Hummingbird
import NIOCore
import PumiceModel

/// Picks the rows of one page of a list.
struct RowListing<Row: ListedRow> {
  private typealias Ordering = NewestFirst<Row.Kind>

  private let call: Call
  private let tables: Tables
  private let filter: RowFilter<Row>
  private let sort: RowSort<Row>
  private let page: Page
  private let isCounted: Bool

  struct Result {
    var rows: [Row]
    var hasMore: Bool
    /// How many there are on all pages, when that was asked for.
    var count: Int?
  }

  init(_ call: Call) throws(StorageError) {
    self.call = call
    tables = call.tables
    filter = try RowFilter(call)
    sort = try RowSort(call.query)
    page = try Page(call.query)
    let isAskedFor = try call.query.flag("with_count")
    isCounted = isAskedFor && call.version >= Microversion(3, 45)
  }

  func result() throws(StorageError) -> Result {
    let places = newestFirst()
    if filter.passesAll, sort.isDefault {
      let (slice, hasMore) = page.slice(of: places, after: try position(in: places))
      return Result(
        rows: slice.compactMap { Row.row($0.id, in: tables) }, hasMore: hasMore,
        count: isCounted ? places.count : nil)
    }
    var rows = places.compactMap { Row.row($0.id, in: tables) }.filter { filter.passes($0) }
    if !sort.isDefault { rows.sort { sort.precedes($0, $1) } }
    var position: Int?
    if let marker = page.marker {
      position = Identifier<Row.Kind>(marker).flatMap { id in rows.firstIndex { $0.id == id } }
      if position == nil { throw Page.unknownMarker(marker) }
    }
    let (slice, hasMore) = page.slice(of: rows, after: position)
    return Result(rows: Array(slice), hasMore: hasMore, count: isCounted ? rows.count : nil)
  }

  private func newestFirst() -> [Ordering.Place] {
    let createdAt = { [tables] in Row.createdAt($0, in: tables) }
    // Those of all projects are sorted anew each time: only admins ask for them, and rarely.
    if filter.isForAllProjects { return Ordering.places(Row.ids(in: tables), createdAt: createdAt).sorted() }
    let project = call.caller.project
    return Row.shelf(of: call.api).ordering.places(
      of: project, Row.ids(of: project, in: tables), createdAt: createdAt)
  }

  private func position(in places: [Ordering.Place]) throws(StorageError) -> Int? {
    guard let marker = page.marker else { return nil }
    guard let id = Identifier<Row.Kind>(marker), let createdAt = Row.createdAt(id, in: tables) else {
      throw Page.unknownMarker(marker)
    }
    let place = Ordering.Place(createdAt: createdAt, id: id)
    let position = Ordering.position(of: place, in: places)
    guard position < places.count, places[position] == place else { throw Page.unknownMarker(marker) }
    return position
  }

  /// The answer: with each row in full, or only a reference to it.
  func response(detailed: Bool) throws -> Response {
    let result = try result()
    let view = Row.View(call)
    let fragments =
      detailed
      ? try Row.shelf(of: call.api).fragments.json(of: result.rows, in: view)
      : try result.rows.map { try $0.reference(in: view) }
    var rest = ListRest(name: Row.links, count: result.count)
    if result.hasMore, let last = result.rows.last { rest.links = [call.nextPage(after: last.id.description)] }
    let members = rest.links == nil && rest.count == nil ? [] : try JSONBytes.encode(rest)
    return .json(JSONBytes.list(Row.collection, fragments, and: members))
  }
}

/// What stands in the answer beside the rows: `{"volumes_links": […], "count": 5}`.
struct ListRest: Encodable {
  /// That of the links.
  let name: String
  var links: [Link]?
  var count: Int?

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encodeIfPresent(links, forKey: Key(stringValue: name))
    try container.encodeIfPresent(count, forKey: Key(stringValue: "count"))
  }
}

extension Call {
  /// An answer that shows one row.
  func show<Row: ListedRow>(_ row: Row, status: HTTPResponse.Status = .ok) throws -> Response {
    let fragment = try Row.shelf(of: api).fragments.json(of: row, in: Row.View(self))
    var buffer = ByteBuffer()
    buffer.reserveCapacity(fragment.count + 16)
    buffer.writeString("{\"\(Row.singular)\":")
    buffer.writeBytes(fragment)
    buffer.writeString("}")
    return .json(buffer, status: status)
  }
}
