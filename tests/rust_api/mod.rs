//! The public API of the crate, read from its sources: the items that `src/lib.rs` exports, with their methods, fields
//! and variants.
//!
//! Traits that every value has (Clone, Debug, comparisons, Hash) are no items here. Fields of variants are none either:
//! C reads them by functions that the variant's line lists, or not at all, and then that line says so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, GenericArgument, ImplItem, Item, PathArguments, Type, UseTree, Visibility};

/// Traits that give C nothing to call.
const OF_EVERY_VALUE: [&str; 8] = ["Clone", "Copy", "Debug", "PartialEq", "Eq", "Hash", "PartialOrd", "Ord"];

/// Returns all items: `Manager::start_process`, `Error::Invalid`, `RuntimePids::remote`, `Signal: FromStr`.
pub fn items() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |path: &PathBuf| (module_of(path.strip_prefix(&source).unwrap()), parse(path));
    let mut modules: BTreeMap<String, Vec<Item>> = sources(&source).iter().map(module).collect();
    let root = modules.remove("lib").expect("src/lib.rs");
    items_of(&root, &modules)
}

/// Returns the sources below a directory, without those of the C ABI: they export nothing to Rust.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() && !path.ends_with("src/capi") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the module of a file of src: `error::start` for error/start.rs, `error` for error/mod.rs.
fn module_of(file: &Path) -> String {
    let stem = file.with_extension("");
    let names = stem.components().map(|part| part.as_os_str().to_str().unwrap().to_owned());
    names.filter(|name| name != "mod").collect::<Vec<_>>().join("::")
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
        // A type of the module's own can have the name of one that is exported from elsewhere. A module also has the
        // types of its submodules.
        let own = types(content);
        let is_here = |name: &str, home: &str| module.split("::").any(|part| part == home) || !own.contains(name);
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
        Item::Trait(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

/// The exported names, each with its module.
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

/// The names that matter in one module.
struct Scope<'a> {
    names: BTreeSet<String>,
    /// The crate's types that are not exported.
    private: BTreeSet<&'a String>,
}

impl Scope<'_> {
    /// Adds what is public of one item of the module, if that item belongs to an exported name.
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
                    let is_of = |private: &String| name == *private || name.contains(&format!("<{private}>"));
                    let is_private = self.private.iter().any(|private| is_of(private));
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
            // A macro could define anything.
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

/// Returns the last part of a path, without lifetimes: `From<Duration>`.
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
