import HashTreeCollections
import Hummingbird
import NIOCore
import PumiceModel

/// Picks the volumes of one page of a list.
struct VolumeListing {
  private let call: Call
  private let tables: Tables
  private let filter: VolumeFilter
  private let sort: VolumeSort
  private let page: Page
  private let isCounted: Bool

  struct Result {
    var rows: [VolumeRow]
    var hasMore: Bool
    /// How many there are on all pages, when that was asked for.
    var count: Int?
  }

  init(_ call: Call) throws(StorageError) {
    self.call = call
    tables = call.tables
    filter = try VolumeFilter(call)
    sort = try VolumeSort(call.query)
    page = try Page(call.query)
    let isAskedFor = try call.query.flag("with_count")
    isCounted = isAskedFor && call.version >= Microversion(3, 45)
  }

  func result() throws(StorageError) -> Result {
    let places =
      filter.isForAllProjects
      ? call.api.ordering.newestFirst(in: tables)
      : call.api.ordering.newestFirst(of: call.caller.project, in: tables)
    if filter.passesAll, sort.isDefault {
      let (slice, hasMore) = page.slice(of: places, after: try position(in: places))
      return Result(rows: slice.compactMap { row($0.id) }, hasMore: hasMore, count: isCounted ? places.count : nil)
    }
    var rows = places.compactMap { row($0.id) }.filter { filter.passes($0) }
    if !sort.isDefault { rows.sort { sort.precedes($0, $1) } }
    var position: Int?
    if let marker = page.marker {
      position = VolumeID(marker).flatMap { id in rows.firstIndex { $0.volume.id == id } }
      if position == nil { throw Page.unknownMarker(marker) }
    }
    let (slice, hasMore) = page.slice(of: rows, after: position)
    return Result(rows: Array(slice), hasMore: hasMore, count: isCounted ? rows.count : nil)
  }

  private func row(_ id: VolumeID) -> VolumeRow? { tables.volumes[id].map { tables.row(of: $0) } }

  private func position(in places: [VolumeOrdering.Place]) throws(StorageError) -> Int? {
    guard let marker = page.marker else { return nil }
    guard let id = VolumeID(marker), let volume = tables.volumes[id] else { throw Page.unknownMarker(marker) }
    let place = VolumeOrdering.Place(createdAt: volume.createdAt, id: id)
    let position = VolumeOrdering.position(of: place, in: places)
    guard position < places.count, places[position] == place else { throw Page.unknownMarker(marker) }
    return position
  }

  /// What stands in the answer beside the volumes.
  struct Rest: Encodable {
    var links: [Link]?
    var count: Int?

    enum CodingKeys: String, CodingKey {
      case links = "volumes_links"
      case count
    }
  }

  /// The answer: with each volume in full, or only a reference to it.
  func response(detailed: Bool) throws -> Response {
    let result = try result()
    let view = VolumeView(call)
    let fragments =
      detailed
      ? try call.api.fragments.json(of: result.rows, in: view)
      : try result.rows.map { try JSONBytes.encode(VolumeReference($0, in: view)) }
    var rest = Rest(count: result.count)
    if result.hasMore, let last = result.rows.last { rest.links = [call.nextPage(after: last.volume.id.description)] }
    let members = rest.links == nil && rest.count == nil ? [] : try JSONBytes.encode(rest)
    return .json(VolumeFragments.list("volumes", fragments, and: members))
  }
}
