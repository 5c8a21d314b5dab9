//! `#[derive(app::Describe)]`

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Fields, parse_quote};

use crate::attributes::{Serde, rename_field, rename_variant};

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let serde = Serde::of(&item.attrs)?;
    let name = serde.rename.clone().unwrap_or_else(|| item.ident.to_string());
    let described = match &item.data {
        _ if serde.opaque => None,
        Data::Struct(structure) if serde.transparent => transparent(&structure.fields),
        Data::Struct(structure) => content(&structure.fields, &name, serde.rename_all.as_deref())?,
        Data::Enum(enumeration) => {
            let mut variants = Vec::new();
            for variant in &enumeration.variants {
                variants.push(self::variant(variant, &serde)?);
            }
            let variants: Option<Vec<Vec<TokenStream>>> = variants.into_iter().collect();
            variants.map(|variants| {
                let variants = variants.into_iter().flatten();
                quote!(::mesto_sdk::Type::Enum { name: #name, variants: ::std::vec![#(#variants),*] })
            })
        }
        Data::Union(_) => return Err(Error::new(item.ident.span(), "a union has no JSON")),
    };
    let described = described.unwrap_or_else(|| quote!(::mesto_sdk::Type::Any));
    let mut generics = item.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::mesto_sdk::Describe));
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let ident = &item.ident;
    Ok(quote! {
        impl #parameters ::mesto_sdk::Describe for #ident #arguments #bounds {
            fn describe(within: &mut ::mesto_sdk::Within) -> ::mesto_sdk::Type {
                within.named(::core::any::type_name::<Self>(), #name, |within| {
                    let _ = &within;
                    #described
                })
            }
        }
    })
}

/// A variant of an enum: none if it never crosses the border. `None` if the schema cannot follow.
fn variant(variant: &syn::Variant, of: &Serde) -> syn::Result<Option<Vec<TokenStream>>> {
    let serde = Serde::of(&variant.attrs)?;
    if serde.skip {
        return Ok(Some(Vec::new()));
    }
    let renamed = rename_variant(&variant.ident.to_string(), of.rename_all.as_deref());
    let (Some(name), false) = (serde.rename.or(renamed), serde.opaque) else { return Ok(None) };
    let content = match &variant.fields {
        Fields::Unit => quote!(::core::option::Option::None),
        fields => {
            let rule = serde.rename_all.as_deref().or(of.rename_all_fields.as_deref());
            let Some(content) = content(fields, &name, rule)? else { return Ok(None) };
            quote!(::core::option::Option::Some(#content))
        }
    };
    Ok(Some(vec![quote!(::mesto_sdk::Variant { name: #name, content: #content })]))
}

/// The fields of a struct or variant. `None` if the schema cannot follow.
pub(crate) fn content(fields: &Fields, name: &str, rule: Option<&str>) -> syn::Result<Option<TokenStream>> {
    match fields {
        Fields::Unit => Ok(Some(quote!(::mesto_sdk::Type::Unit))),
        Fields::Unnamed(unnamed) => {
            let types: Vec<_> = unnamed.unnamed.iter().map(|field| &field.ty).collect();
            Ok(Some(match types.as_slice() {
                [only] => quote!(<#only as ::mesto_sdk::Describe>::describe(within)),
                types => quote! {
                    ::mesto_sdk::Type::Tuple {
                        of: ::std::vec![#(<#types as ::mesto_sdk::Describe>::describe(within)),*],
                    }
                },
            }))
        }
        Fields::Named(named) => {
            let mut fields = Vec::new();
            for field in &named.named {
                let Some(field) = self::field(field, rule)? else { return Ok(None) };
                fields.extend(field);
            }
            Ok(Some(quote!(::mesto_sdk::Type::Struct { name: #name, fields: ::std::vec![#(#fields),*] })))
        }
    }
}

fn field(field: &Field, rule: Option<&str>) -> syn::Result<Option<Vec<TokenStream>>> {
    let serde = Serde::of(&field.attrs)?;
    if serde.skip {
        return Ok(Some(Vec::new()));
    }
    let ident = field.ident.as_ref().map(|ident| ident.to_string().trim_start_matches("r#").to_owned());
    let renamed = ident.and_then(|ident| rename_field(&ident, rule));
    let (Some(name), false) = (serde.rename.or(renamed), serde.opaque) else { return Ok(None) };
    let (content, optional) = (&field.ty, serde.optional);
    Ok(Some(vec![quote! {
        ::mesto_sdk::Field {
            name: #name,
            content: <#content as ::mesto_sdk::Describe>::describe(within),
            optional: #optional,
        }
    }]))
}

/// The one field that is left of a transparent struct.
fn transparent(fields: &Fields) -> Option<TokenStream> {
    let mut fields = fields.iter();
    match (fields.next(), fields.next()) {
        (Some(only), None) => {
            let content = &only.ty;
            Some(quote!(<#content as ::mesto_sdk::Describe>::describe(within)))
        }
        _ => None,
    }
}
