import HashTreeCollections
import PumiceModel

/// A kind of thing that the API lists: the row, with all that its representation depends on. Equal rows look the same.
protocol ListedRow: Sendable, Equatable {
  associatedtype Kind
  /// How it is shown: to whom, in which version.
  associatedtype View: ListedView
  /// What a list can be sorted by.
  associatedtype SortKey: RowSortKey

  /// The member of an answer that has one of them, and of one that has several.
  static var singular: String { get }
  static var collection: String { get }
  /// The member that has the link to the next page.
  static var links: String { get }
  /// The microversion that brought the filter by metadata; `nil` where there is none.
  static var metadataFilterSince: Microversion? { get }

  var id: Identifier<Kind> { get }
  var name: String { get }
  /// In Cinder's words.
  var status: String { get }
  var metadata: [String: String] { get }
  var zone: String? { get }
  var project: ProjectID { get }

  /// All of a project, or of all projects, that are not gone.
  static func ids(of project: ProjectID, in tables: Tables) -> TreeSet<Identifier<Kind>>
  static func ids(in tables: Tables) -> [Identifier<Kind>]
  static func createdAt(_ id: Identifier<Kind>, in tables: Tables) -> Timestamp?
  static func row(_ id: Identifier<Kind>, in tables: Tables) -> Self?
  /// What is kept between requests.
  static func shelf(of api: CoordinatorAPI) -> RowShelf<Self>

  /// The test behind a filter that only this kind has; `nil` for one that it has not.
  static func test(_ name: String, _ value: String, of call: Call) throws(StorageError) -> RowTest<Self>?
  static func compare(_ left: Self, _ right: Self, by key: SortKey) -> Int

  /// In full, as JSON.
  func resource(in view: View) throws -> [UInt8]
  /// As lists without detail show it.
  func reference(in view: View) throws -> [UInt8]
}

extension ListedRow {
  static var links: String { "\(collection)_links" }
}

protocol ListedView: Hashable, Sendable {
  init(_ call: Call)
}

/// The raw values are the names in a query.
protocol RowSortKey: RawRepresentable<String>, CaseIterable, Sendable, Equatable {
  static var name: Self { get }
  static var createdAt: Self { get }
}

/// What is kept between requests to answer them faster.
struct RowShelf<Row: ListedRow>: Sendable {
  let fragments = RowFragments<Row>()
  let ordering = NewestFirst<Row.Kind>()
}

extension Comparable {
  /// Below 0 where this comes before the other, above 0 where after.
  func order(to other: Self) -> Int { self < other ? -1 : self == other ? 0 : 1 }
}
