//! The public API of the crate, read from its sources: what `src/lib.rs` exports, with its methods, fields and variants.
//!
//! What every value has (Clone, Debug, comparisons, Hash) is no item here, and neither are fields of variants: C has
//! those of a list of functions that takes the variant apart, or not at all, and the variant's line says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, GenericArgument, ImplItem, Item, PathArguments, Type, UseTree, Visibility};

/// Traits that are no calls that C could miss.
const OF_EVERY_VALUE: [&str; 8] = ["Clone", "Copy", "Debug", "PartialEq", "Eq", "Hash", "PartialOrd", "Ord"];

/// All items, as `Manager::start_process`, `Error::Invalid`, `RuntimePids::remote`, `Signal: FromStr`.
pub fn items() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(&source).unwrap().flatten().map(|entry| entry.path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "rs")).collect();
    let module = |path: &PathBuf| (path.file_stem().unwrap().to_str().unwrap().to_owned(), parse(path));
    let mut modules: BTreeMap<String, Vec<Item>> = files.iter().map(module).collect();
    let root = modules.remove("lib").expect("src/lib.rs");
    items_of(&root, &modules)
}

fn parse(path: &Path) -> Vec<Item> {
    let text = fs::read_to_string(path).unwrap();
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).items
}

pub fn items_of(root: &[Item], modules: &BTreeMap<String, Vec<Item>>) -> BTreeSet<String> {
    let mut exported = Names::new();
    for item in root {
        match item {
            Item::Use(item) if is_public(&item.vis) => names_of(&item.tree, "", &mut exported),
            Item::Mod(item) => {
                assert!(!is_public(&item.vis), "{} is a public module; teach this to read it", item.ident)
            }
            Item::Use(_) => {}
            Item::Struct(item) => assert!(!is_public(&item.vis), "src/lib.rs only exports what its modules have"),
            _ => panic!("src/lib.rs has an item that this does not know"),
        }
    }
    let types = |items: &[Item]| items.iter().filter_map(defined_type).collect::<BTreeSet<_>>();
    let all_types: BTreeSet<String> = modules.values().flat_map(|items| types(items)).collect();
    let mut items = BTreeSet::new();
    for (module, content) in modules {
        // A type of the module's own can have the name of one that is exported from elsewhere.
        let own = types(content);
        let is_here = |name: &str, home: &str| home == module || !own.contains(name);
        let here = exported.iter().filter(|(name, home)| is_here(name, home)).map(|(name, _)| name.clone()).collect();
        let scope =
            Scope { names: here, private: all_types.iter().filter(|name| !exported.contains_key(*name)).collect() };
        content.iter().for_each(|item| scope.items_in(item, &mut items));
    }
    for name in exported.into_keys() {
        let is_of =
            |item: &String| item.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'));
        assert!(items.iter().any(is_of), "{name} is exported, and nothing of it was found");
    }
    items
}

fn defined_type(item: &Item) -> Option<String> {
    match item {
        Item::Struct(item) => Some(item.ident.to_string()),
        Item::Enum(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// What is exported, each with its module.
type Names = BTreeMap<String, String>;

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn names_of(tree: &UseTree, module: &str, names: &mut Names) {
    match tree {
        UseTree::Path(path) => names_of(&path.tree, &path.ident.to_string(), names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names_of(tree, module, names)),
        UseTree::Name(name) => drop(names.insert(name.ident.to_string(), module.to_owned())),
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("src/lib.rs exports something that this cannot name"),
    }
}

/// What names stand for in one module.
struct Scope<'a> {
    names: BTreeSet<String>,
    /// The crate's types that nobody outside can name.
    private: BTreeSet<&'a String>,
}

impl Scope<'_> {
    /// What is public of one item of the module, if it belongs to an exported name.
    fn items_in(&self, item: &Item, items: &mut BTreeSet<String>) {
        let exported = &self.names;
        let mut add = |name: String| {
            items.insert(name);
        };
        match item {
            Item::Fn(item) if exported.contains(&item.sig.ident.to_string()) => add(item.sig.ident.to_string()),
            Item::Const(item) if exported.contains(&item.ident.to_string()) => add(item.ident.to_string()),
            Item::Type(item) if exported.contains(&item.ident.to_string()) => add(item.ident.to_string()),
            Item::Enum(item) if exported.contains(&item.ident.to_string()) => {
                item.variants.iter().for_each(|variant| add(format!("{}::{}", item.ident, variant.ident)));
                derived(&item.attrs).into_iter().for_each(|name| add(format!("{}: {name}", item.ident)));
            }
            Item::Struct(item) if exported.contains(&item.ident.to_string()) => {
                add(item.ident.to_string());
                if let Fields::Named(fields) = &item.fields {
                    let public = fields.named.iter().filter(|field| is_public(&field.vis));
                    public.for_each(|field| add(format!("{}::{}", item.ident, field.ident.as_ref().unwrap())));
                }
                derived(&item.attrs).into_iter().for_each(|name| add(format!("{}: {name}", item.ident)));
            }
            Item::Impl(item) => {
                let of = type_name(&item.self_ty);
                if !exported.contains(&of) {
                    return;
                }
                if let Some((_, path, _)) = &item.trait_ {
                    let name = path_name(path);
                    let is_private = self.private.iter().any(|private| name.contains(&format!("<{private}>")));
                    if !is_private && !OF_EVERY_VALUE.contains(&name.as_str()) {
                        add(format!("{of}: {name}"));
                    }
                    return;
                }
                for item in &item.items {
                    match item {
                        ImplItem::Fn(item) if is_public(&item.vis) => add(format!("{of}::{}", item.sig.ident)),
                        ImplItem::Const(item) if is_public(&item.vis) => add(format!("{of}::{}", item.ident)),
                        ImplItem::Fn(_) | ImplItem::Const(_) => {}
                        _ => panic!("{of} has something that this does not know"),
                    }
                }
            }
            Item::Trait(item) => {
                assert!(!exported.contains(&item.ident.to_string()), "an exported trait: {}", item.ident)
            }
            // It could make anything.
            Item::Macro(item) => {
                let name = path_name(&item.mac.path);
                assert!(name == "thread_local" || name == "macro_rules", "what {name}! makes is not seen here");
            }
            _ => {}
        }
    }
}

fn derived(attributes: &[Attribute]) -> Vec<String> {
    let mut names = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let each = |meta: syn::meta::ParseNestedMeta| {
            names.push(path_name(&meta.path));
            Ok(())
        };
        attribute.parse_nested_meta(each).unwrap();
    }
    names.retain(|name| !OF_EVERY_VALUE.contains(&name.as_str()));
    names
}

fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => {
            let parts = path.path.segments.iter();
            let mut parts: Vec<String> = parts.map(|part| part.ident.to_string()).collect();
            *parts.last_mut().unwrap() = path_name(&path.path);
            parts.join("::")
        }
        Type::Reference(reference) => format!("&{}", type_name(&reference.elem)),
        _ => "?".to_owned(),
    }
}

/// Its last part, as `From<Duration>`; without lifetimes.
fn path_name(path: &syn::Path) -> String {
    let last = path.segments.last().unwrap();
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return last.ident.to_string() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(of) => Some(type_name(of)),
        _ => None,
    });
    let types: Vec<String> = types.collect();
    if types.is_empty() { last.ident.to_string() } else { format!("{}<{}>", last.ident, types.join(", ")) }
}
