//! `#[app::event]`

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Variant};

use crate::describe::content;

pub(crate) fn expand(item: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(enumeration) = &item.data else {
        return Err(Error::new(item.ident.span(), "the events of an app are an enum, each variant one kind"));
    };
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(&item.generics, "events have no parameters"));
    }
    let name = &item.ident;
    let variants: Vec<&Variant> = enumeration.variants.iter().collect();
    let kinds = variants.iter().map(|variant| {
        let (ident, text) = (&variant.ident, variant.ident.to_string());
        quote!(Self::#ident { .. } => #text)
    });
    let payloads = variants.iter().map(|variant| payload(variant));
    let mut described = Vec::new();
    for variant in &variants {
        let text = variant.ident.to_string();
        let content = content(&variant.fields, &text, None)?.unwrap_or_else(|| quote!(::mesto_sdk::Type::Any));
        described.push(quote! {
            ::mesto_sdk::EventKind { name: #text, content: { let _ = &within; #content } }
        });
    }
    Ok(quote! {
        #item

        impl ::mesto_sdk::__private::Event for #name {
            fn kind(&self) -> &'static str {
                match self {
                    #(#kinds,)*
                }
            }

            fn payload(&self) -> ::std::string::String {
                match self {
                    #(#payloads,)*
                }
            }

            fn kinds() -> ::std::vec::Vec<::mesto_sdk::EventKind> {
                let within = &mut ::mesto_sdk::Within::default();
                ::std::vec![#(#described,)*]
            }
        }
    })
}

/// The payload of a variant: an object of its fields, the only field, a list, or null.
fn payload(variant: &Variant) -> TokenStream {
    let ident = &variant.ident;
    match &variant.fields {
        Fields::Unit => quote!(Self::#ident => ::std::string::String::from("null")),
        Fields::Named(fields) => {
            let names: Vec<_> = fields.named.iter().filter_map(|field| field.ident.as_ref()).collect();
            let texts = names.iter().map(|name| name.to_string().trim_start_matches("r#").to_owned());
            quote! {
                Self::#ident { #(#names),* } => {
                    let mut payload = ::mesto_sdk::__private::Object::new();
                    #(payload.field(#texts, #names);)*
                    payload.finish()
                }
            }
        }
        Fields::Unnamed(fields) => {
            let names: Vec<_> = (0..fields.unnamed.len()).map(|index| format_ident!("field_{index}")).collect();
            let value = match names.as_slice() {
                [only] => quote!(#only),
                names => quote!(&(#(#names),*)),
            };
            quote!(Self::#ident(#(#names),*) => ::mesto_sdk::__private::payload(#value))
        }
    }
}
